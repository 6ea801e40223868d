// SPDX-License-Identifier: MIT
// Schedule: a smaller rate for the first steps.
#pragma once

#include <cstdint>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// The learning rate times `factor` for the first `steps` steps, then the rate itself. torch.optim.lr_scheduler.ConstantLR.
struct ConstantLR {
  double factor = 1.0 / 3.0;  ///< in (0, 1]
  std::int64_t steps = 5;     ///< how long the factor holds, at least 1

  constexpr double lr(const RatePoint& point) const {
    if (point.arrival == Arrival::restarted) return point.base * factor;
    if (point.step == 0) return point.current * factor;
    return point.step == steps ? point.current * (1.0 / factor) : point.current;
  }

  constexpr const char* problem() const {
    if (!(factor > 0.0 && factor <= 1.0)) return "ConstantLR.factor must be above 0 and at most 1";
    return steps >= 1 ? nullptr : "ConstantLR.steps must be 1 or more";
  }

  /// Calls f("ConstantLR.factor", schedule.factor) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("ConstantLR.factor", schedule.factor);
    f("ConstantLR.steps", schedule.steps);
  }

  friend constexpr bool operator==(ConstantLR, ConstantLR) = default;
  friend std::ostream& operator<<(std::ostream& out, ConstantLR schedule) {
    return detail::print(out, "ConstantLR", detail::field("factor", schedule.factor),
                         detail::field("steps", schedule.steps));
  }
};

}  // namespace fulgurite
