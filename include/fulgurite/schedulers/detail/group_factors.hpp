// SPDX-License-Identifier: MIT
// Functions of the step that a schedule multiplies by: one for all parameter groups, or one for each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>

#include <fulgurite/concepts/scheduler.hpp>

namespace fulgurite::detail {

template <class... Factors>
class GroupFactors {
  static_assert(sizeof...(Factors) > 0,
                "a schedule of functions needs one: LambdaLR{[](std::int64_t step) { return …; }}");

 public:
  explicit GroupFactors(Factors... factors) : factors_(std::move(factors)...) {}

  double operator()(const RatePoint& point) const {
    if constexpr (sizeof...(Factors) == 1) {
      return static_cast<double>(std::get<0>(factors_)(point.step));
    } else {
      return pick(point, std::index_sequence_for<Factors...>{});
    }
  }

  void require_groups(const char* schedule, std::int64_t count) const {
    if (sizeof...(Factors) == 1 || static_cast<std::int64_t>(sizeof...(Factors)) == count) return;
    throw std::invalid_argument(std::string("fulgurite: ") + schedule + " has " + std::to_string(sizeof...(Factors)) +
                                " functions, but the optimizer has " + std::to_string(count) +
                                " parameter groups: give one function for all, or one for each");
  }

 private:
  template <std::size_t... Group>
  double pick(const RatePoint& point, std::index_sequence<Group...>) const {
    double factor = 1.0;
    ((point.group == static_cast<std::int64_t>(Group)
          ? void(factor = static_cast<double>(std::get<Group>(factors_)(point.step)))
          : void()),
     ...);
    return factor;
  }

  std::tuple<Factors...> factors_;
};

}  // namespace fulgurite::detail
