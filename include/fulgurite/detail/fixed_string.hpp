// SPDX-License-Identifier: MIT
// A name that is part of a type: `ReduceLROnPlateau<"val_loss">`.
#pragma once

#include <cstddef>
#include <string_view>

namespace fulgurite::detail {

template <std::size_t Size>
struct FixedString {
  char text[Size]{};

  // Not explicit: a string literal is a template argument as it stands.
  consteval FixedString(const char (&literal)[Size]) {  // NOLINT
    for (std::size_t i = 0; i < Size; ++i) text[i] = literal[i];
  }

  constexpr std::string_view view() const { return {text, Size - 1}; }
  constexpr bool empty() const { return Size == 1; }
};

}  // namespace fulgurite::detail
