// SPDX-License-Identifier: MIT
// Schedule: a rise to the base rate, in front of any other.
#pragma once

#include <cstdint>
#include <ostream>
#include <utility>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>
#include "linear_lr.hpp"
#include "sequential_lr.hpp"

namespace fulgurite {

/// Raises the learning rate from `start_factor` of its base to the base in `steps` steps:
/// `LinearWarmup{.steps = 500}.then(CosineAnnealingLR{.t_max = 9'500})`, or alone, which then holds the base rate.
/// The same as SequentialLR of LinearLR and the schedule that follows.
struct LinearWarmup {
  std::int64_t steps = 0;      ///< steps of the rise, at least 1
  double start_factor = 0.01;  ///< factor of step 0, in (0, 1]

  constexpr double lr(const RatePoint& point) const { return line().lr(point); }

  /// The warm-up, then `schedule` from its step 0.
  template <Scheduler Schedule>
  SequentialLR<LinearWarmup, Schedule> then(Schedule schedule) const {
    return SequentialLR<LinearWarmup, Schedule>({steps}, *this, std::move(schedule));
  }

  constexpr const char* problem() const {
    if (steps < 1) return "LinearWarmup.steps must be 1 or more: the steps until the base rate is reached";
    return start_factor > 0.0 && start_factor <= 1.0 ? nullptr
                                                     : "LinearWarmup.start_factor must be above 0 and at most 1";
  }

  /// Steps until it has come to its end.
  constexpr std::int64_t length() const { return steps; }
  static constexpr bool throws_beyond_length = false;

  /// Calls f("LinearWarmup.steps", schedule.steps) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("LinearWarmup.steps", schedule.steps);
    f("LinearWarmup.start_factor", schedule.start_factor);
  }

  friend constexpr bool operator==(LinearWarmup, LinearWarmup) = default;
  friend std::ostream& operator<<(std::ostream& out, LinearWarmup schedule) {
    return detail::print(out, "LinearWarmup", detail::field("steps", schedule.steps),
                         detail::field("start_factor", schedule.start_factor));
  }

 private:
  constexpr LinearLR line() const { return {.start_factor = start_factor, .end_factor = 1.0, .steps = steps}; }
};

}  // namespace fulgurite
