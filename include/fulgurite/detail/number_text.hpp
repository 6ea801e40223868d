// SPDX-License-Identifier: MIT
// Numbers as texts, in messages and logs.
#pragma once

#include <charconv>
#include <cmath>
#include <string>

namespace fulgurite::detail {

/// The shortest decimal that gives the same double back; "nan", of either sign, "inf", "-inf".
inline std::string text_of(double value) {
  if (std::isnan(value)) return "nan";
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

}  // namespace fulgurite::detail
