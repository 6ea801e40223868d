// SPDX-License-Identifier: MIT
// A number of a schedule: one for all parameter groups, or one for each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fulgurite {

/// `.max_lr = 3e-3` holds for every parameter group, `.max_lr = {1e-3, 1e-2}` gives each its own.
class PerGroup {
 public:
  PerGroup(double everywhere) : values_{everywhere}, listed_(false) {}                                   // NOLINT
  PerGroup(std::initializer_list<double> one_a_group) : PerGroup(std::vector<double>(one_a_group)) {}    // NOLINT
  PerGroup(std::vector<double> one_a_group) : values_(std::move(one_a_group)), listed_(true) {}          // NOLINT

  /// The value of a group.
  double at(std::int64_t group) const { return values_[listed_ ? static_cast<std::size_t>(group) : 0]; }

  const std::vector<double>& values() const { return values_; }

  /// `holds(value)` for each of them.
  template <class Predicate>
  bool all(Predicate holds) const {
    return std::all_of(values_.begin(), values_.end(), holds);
  }

  /// Throws std::invalid_argument unless it has a value for each of `count` groups. `name` is what it is called.
  void require_groups(const char* name, std::int64_t count) const {
    if (!listed_ || static_cast<std::int64_t>(values_.size()) == count) return;
    throw std::invalid_argument(std::string("fulgurite: ") + name + " has " + std::to_string(values_.size()) +
                                " values, but the optimizer has " + std::to_string(count) +
                                " parameter groups: give one number for all, or one for each");
  }

  friend bool operator==(const PerGroup&, const PerGroup&) = default;
  friend std::ostream& operator<<(std::ostream& out, const PerGroup& value) {
    if (!value.listed_) return out << value.values_[0];
    const char* separator = "{";
    for (const double one : value.values_) {
      out << separator << one;
      separator = ", ";
    }
    return out << (value.values_.empty() ? "{}" : "}");
  }

 private:
  std::vector<double> values_;
  bool listed_;
};

}  // namespace fulgurite
