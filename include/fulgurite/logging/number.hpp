// SPDX-License-Identifier: MIT
// A number to be logged, from whatever carries one.
#pragma once

#include <type_traits>

namespace fulgurite {

/// How a value becomes a number to log. Specialised for tensors in tensors/number.hpp.
template <class T>
struct to_number {
  static_assert(std::is_arithmetic_v<T>,
                "step.log takes a number or a tensor with one element: this is neither. See docs/errors/log-value.md");
  static constexpr double read(const T& value) { return static_cast<double>(value); }
};

/// A logged number, converted from an arithmetic value or a tensor of one element.
class Number {
 public:
  template <class T>
  constexpr Number(const T& value) : value_(to_number<T>::read(value)) {}  // NOLINT: implicit, for log_dict's braces

  constexpr double value() const { return value_; }

 private:
  double value_;
};

}  // namespace fulgurite
