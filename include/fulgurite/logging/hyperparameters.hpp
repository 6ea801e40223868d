// SPDX-License-Identifier: MIT
// What a run was configured with, for its loggers and checkpoints.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace fulgurite {

/// A named setting: a number, a truth value or a text. `{"lr", 3e-3}`, `{"model", "mlp"}`.
struct Hyperparameter {
  using Value = std::variant<bool, std::int64_t, double, std::string>;

  std::string name;
  Value value;

  template <class T>
  Hyperparameter(std::string its_name, T its_value)
      : name(std::move(its_name)), value(from(std::move(its_value))) {}

  friend bool operator==(const Hyperparameter&, const Hyperparameter&) = default;

 private:
  template <class T>
  static Value from(T given) {
    if constexpr (std::same_as<T, bool>) {
      return given;
    } else if constexpr (std::is_integral_v<T>) {
      return static_cast<std::int64_t>(given);
    } else if constexpr (std::is_floating_point_v<T>) {
      return static_cast<double>(given);
    } else {
      return std::string(std::move(given));
    }
  }
};

/// The settings of a run, in the order given.
using Hyperparameters = std::vector<Hyperparameter>;

namespace detail {

inline void require_distinct_names(const Hyperparameters& parameters) {
  for (const Hyperparameter& each : parameters) {
    const auto has_name = [&](const Hyperparameter& other) { return other.name == each.name; };
    if (&*std::find_if(parameters.begin(), parameters.end(), has_name) == &each) continue;  // the first of its name
    throw std::invalid_argument("fulgurite: two hyper-parameters are called " + each.name +
                                ": give one of them another name");
  }
}

}  // namespace detail

}  // namespace fulgurite
