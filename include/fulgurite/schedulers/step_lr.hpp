// SPDX-License-Identifier: MIT
// Schedule: a drop every n steps.
#pragma once

#include <cstdint>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Multiplies the learning rate by `gamma` every `step_size` steps. torch.optim.lr_scheduler.StepLR.
struct StepLR {
  std::int64_t step_size = 1;  ///< steps between two decays, at least 1
  double gamma = 0.1;          ///< factor of a decay, 0 or more

  constexpr double lr(const RatePoint& point) const {
    if (point.arrival == Arrival::restarted) return point.base;
    return point.step == 0 || point.step % step_size != 0 ? point.current : point.current * gamma;
  }

  constexpr const char* problem() const {
    if (step_size < 1) return "StepLR.step_size must be 1 or more";
    if (!(gamma >= 0.0)) return "StepLR.gamma must be 0 or more";
    return nullptr;
  }

  /// Calls f("StepLR.step_size", schedule.step_size) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("StepLR.step_size", schedule.step_size);
    f("StepLR.gamma", schedule.gamma);
  }

  friend constexpr bool operator==(StepLR, StepLR) = default;
  friend std::ostream& operator<<(std::ostream& out, StepLR schedule) {
    return detail::print(out, "StepLR", detail::field("step_size", schedule.step_size),
                         detail::field("gamma", schedule.gamma));
  }
};

}  // namespace fulgurite
