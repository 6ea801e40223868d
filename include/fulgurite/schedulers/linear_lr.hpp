// SPDX-License-Identifier: MIT
// Schedule: a straight line from one factor to another.
#pragma once

#include <cstdint>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// The learning rate times a factor that goes from `start_factor` to `end_factor` in `steps` steps, and stays there.
/// torch.optim.lr_scheduler.LinearLR.
struct LinearLR {
  double start_factor = 1.0 / 3.0;  ///< in (0, 1]
  double end_factor = 1.0;          ///< in [0, 1]
  std::int64_t steps = 5;           ///< steps from one to the other, at least 1

  constexpr double lr(const RatePoint& point) const {
    if (point.step == 0) return (point.arrival == Arrival::restarted ? point.base : point.current) * start_factor;
    if (point.step > steps) return point.current;
    const double rise = end_factor - start_factor;
    return point.current *
           (1.0 + rise / (static_cast<double>(steps) * start_factor + static_cast<double>(point.step - 1) * rise));
  }

  constexpr const char* problem() const {
    if (!(start_factor > 0.0 && start_factor <= 1.0)) return "LinearLR.start_factor must be above 0 and at most 1";
    if (!(end_factor >= 0.0 && end_factor <= 1.0)) return "LinearLR.end_factor must be in [0, 1]";
    return steps >= 1 ? nullptr : "LinearLR.steps must be 1 or more";
  }

  /// Steps until it has come to its end.
  constexpr std::int64_t length() const { return steps; }
  static constexpr bool throws_beyond_length = false;

  /// Calls f("LinearLR.start_factor", schedule.start_factor) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("LinearLR.start_factor", schedule.start_factor);
    f("LinearLR.end_factor", schedule.end_factor);
    f("LinearLR.steps", schedule.steps);
  }

  friend constexpr bool operator==(LinearLR, LinearLR) = default;
  friend std::ostream& operator<<(std::ostream& out, LinearLR schedule) {
    return detail::print(out, "LinearLR", detail::field("start_factor", schedule.start_factor),
                         detail::field("end_factor", schedule.end_factor),
                         detail::field("steps", schedule.steps));
  }
};

}  // namespace fulgurite
