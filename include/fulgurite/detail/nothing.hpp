// SPDX-License-Identifier: MIT
// What a refused trainer holds instead of an engine: it swallows every call, so that a misuse prints one error and no
// echo of it.
#pragma once

namespace fulgurite::detail {

struct Nothing {
  constexpr Nothing() = default;
  template <class... Anything>
  constexpr explicit Nothing(Anything&&...) {}
};

}  // namespace fulgurite::detail
