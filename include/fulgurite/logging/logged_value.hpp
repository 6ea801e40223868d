// SPDX-License-Identifier: MIT
// A metric's value, if the metric is known.
#pragma once

#include <compare>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>

namespace fulgurite {

/// What a lookup of a metric gives: a number, or nothing, as std::optional<double>. But where nothing is read as a number, or
/// compared with one by <, std::out_of_range says which metric is not known, and which are.
class LoggedValue {
 public:
  LoggedValue(double value) : value_(value) {}
  /// `unknown`: what is said of it.
  explicit LoggedValue(std::nullopt_t, std::string unknown) : unknown_(std::move(unknown)) {}

  bool has_value() const { return value_.has_value(); }
  explicit operator bool() const { return has_value(); }
  double value() const {
    if (!value_) throw std::out_of_range(unknown_);
    return *value_;
  }
  double operator*() const { return value(); }
  double value_or(double other) const { return value_.value_or(other); }
  operator std::optional<double>() const { return value_; }

  friend bool operator==(const LoggedValue& a, const LoggedValue& b) { return a.value_ == b.value_; }
  friend bool operator==(const LoggedValue& a, const std::optional<double>& b) { return a.value_ == b; }
  friend bool operator==(const LoggedValue& a, double b) { return a.value_ == b; }
  friend std::partial_ordering operator<=>(const LoggedValue& a, const LoggedValue& b) { return a.value() <=> b.value(); }
  friend std::partial_ordering operator<=>(const LoggedValue& a, double b) { return a.value() <=> b; }
  friend std::ostream& operator<<(std::ostream& out, const LoggedValue& logged) {
    return logged.value_ ? out << *logged.value_ : out << "unknown";
  }

 private:
  std::optional<double> value_;
  std::string unknown_;
};

}  // namespace fulgurite
