// SPDX-License-Identifier: MIT
// What policies, schedules and options say of their values.
#pragma once

#include <string_view>

namespace support {

/// Empty if the values are valid.
template <class Values>
constexpr std::string_view problem_of(const Values& values) {
  const char* const problem = values.problem();
  return problem == nullptr ? std::string_view() : problem;
}

}  // namespace support
