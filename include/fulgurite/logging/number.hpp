// SPDX-License-Identifier: MIT
// A number to be logged, from whatever carries one.
#pragma once

#include <concepts>
#include <type_traits>

namespace fulgurite {

/// How a value becomes a number to log: `static double read(const T&)`. Specialised for tensors in tensors/number.hpp.
template <class T>
struct to_number {};

template <class T>
  requires std::is_arithmetic_v<T>
struct to_number<T> {
  static constexpr double read(T value) { return static_cast<double>(value); }
};

/// What step.log takes.
template <class T>
concept Loggable = requires(const T& value) {
  { to_number<T>::read(value) } -> std::same_as<double>;
};

/// A logged number, converted from an arithmetic value or a tensor of one element.
class Number {
 public:
  template <class T>
  constexpr Number(const T& value) : value_(read(value)) {}  // NOLINT: implicit, for log_dict's braces

  constexpr double value() const { return value_; }

 private:
  template <class T>
  static constexpr double read(const T& value) {
    static_assert(Loggable<T>,
                  "step.log takes a number or a tensor with one element: this is neither. See docs/errors/log-value.md");
    if constexpr (Loggable<T>) {
      return to_number<T>::read(value);
    } else {
      return 0.0;
    }
  }

  double value_;
};

}  // namespace fulgurite
