// SPDX-License-Identifier: MIT
// A number as Python's torch computes with it: a float, or a tensor of no dimension, which rounds to its format.
#pragma once

#include <c10/core/ScalarType.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cmath>
#include <optional>

namespace fulgurite::detail {

/// A tensor's format rules where a tensor and a float meet: the float is rounded first, then the result.
class PythonNumber {
 public:
  PythonNumber() = default;
  PythonNumber(double value) : value_(value) {}  // NOLINT(google-explicit-constructor): as in Python
  PythonNumber(double value, c10::ScalarType type) : value_(value), type_(type) {}

  double value() const { return value_; }
  const std::optional<c10::ScalarType>& type() const { return type_; }  ///< nullopt: a float

  friend PythonNumber operator+(const PythonNumber& a, const PythonNumber& b) {
    return apply(a, b, [](double x, double y) { return x + y; });
  }
  friend PythonNumber operator-(const PythonNumber& a, const PythonNumber& b) {
    return apply(a, b, [](double x, double y) { return x - y; });
  }
  friend PythonNumber operator*(const PythonNumber& a, const PythonNumber& b) {
    return apply(a, b, [](double x, double y) { return x * y; });
  }
  friend PythonNumber operator/(const PythonNumber& a, const PythonNumber& b) {
    // Python divides a float by a tensor as float * (1 / tensor).
    if (!a.type_ && b.type_) return a * PythonNumber(rounded(1.0 / b.value_, b.type_), *b.type_);
    return apply(a, b, [](double x, double y) { return x / y; });
  }
  friend bool operator<(const PythonNumber& a, const PythonNumber& b) {
    return compare(a, b, [](double x, double y) { return x < y; });
  }
  friend bool operator<=(const PythonNumber& a, const PythonNumber& b) {
    return compare(a, b, [](double x, double y) { return x <= y; });
  }
  friend bool operator>(const PythonNumber& a, const PythonNumber& b) { return b < a; }
  friend bool operator>=(const PythonNumber& a, const PythonNumber& b) { return b <= a; }

  friend PythonNumber abs(PythonNumber number) {
    number.value_ = std::abs(number.value_);
    return number;
  }
  friend PythonNumber sqrt(PythonNumber number) {
    number.value_ = rounded(std::sqrt(number.value_), number.type_);
    return number;
  }

 private:
  static double rounded(double value, const std::optional<c10::ScalarType>& type) {
    if (!type || *type == c10::ScalarType::Double) return value;
    const auto single = static_cast<float>(value);
    if (*type == c10::ScalarType::BFloat16) return static_cast<float>(c10::BFloat16(single));
    if (*type == c10::ScalarType::Half) return static_cast<float>(c10::Half(single));
    return single;
  }

  template <class F>
  static PythonNumber apply(const PythonNumber& a, const PythonNumber& b, F f) {
    PythonNumber result;
    result.type_ = a.type_ ? a.type_ : b.type_;
    result.value_ = rounded(f(rounded(a.value_, result.type_), rounded(b.value_, result.type_)), result.type_);
    return result;
  }
  template <class F>
  static bool compare(const PythonNumber& a, const PythonNumber& b, F f) {
    const auto& type = a.type_ ? a.type_ : b.type_;
    return f(rounded(a.value_, type), rounded(b.value_, type));
  }

  double value_ = 0.0;
  std::optional<c10::ScalarType> type_;
};

/// Python's min(a, b) and max(a, b): the first of two equal ones.
inline PythonNumber smaller(const PythonNumber& a, const PythonNumber& b) { return b < a ? b : a; }
inline PythonNumber larger(const PythonNumber& a, const PythonNumber& b) { return b > a ? b : a; }

}  // namespace fulgurite::detail
