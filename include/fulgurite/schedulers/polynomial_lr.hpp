// SPDX-License-Identifier: MIT
// Schedule: down to zero along a power.
#pragma once

#include <cmath>
#include <cstdint>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Takes the learning rate to zero in `steps` steps, along (1 - step / steps) to the power `power`.
/// torch.optim.lr_scheduler.PolynomialLR.
struct PolynomialLR {
  std::int64_t steps = 5;  ///< steps until zero, at least 1
  double power = 1.0;      ///< 0 or more; 1 is a straight line

  double lr(const RatePoint& point) const {
    if (point.arrival == Arrival::restarted) return point.base;
    if (point.arrival == Arrival::attached || point.step > steps) return point.current;
    return point.current * std::pow(left(point.step) / left(point.step - 1), power);
  }

  constexpr const char* problem() const {
    if (steps < 1) return "PolynomialLR.steps must be 1 or more: the steps until the rate is zero";
    return power >= 0.0 ? nullptr : "PolynomialLR.power must be 0 or more";
  }

  /// Steps until it has come to its end.
  constexpr std::int64_t length() const { return steps; }
  static constexpr bool throws_beyond_length = false;

  /// Calls f("PolynomialLR.steps", schedule.steps) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("PolynomialLR.steps", schedule.steps);
    f("PolynomialLR.power", schedule.power);
  }

  friend constexpr bool operator==(PolynomialLR, PolynomialLR) = default;
  friend std::ostream& operator<<(std::ostream& out, PolynomialLR schedule) {
    return detail::print(out, "PolynomialLR", detail::field("steps", schedule.steps),
                         detail::field("power", schedule.power));
  }

 private:
  double left(std::int64_t step) const { return 1.0 - static_cast<double>(step) / static_cast<double>(steps); }
};

}  // namespace fulgurite
