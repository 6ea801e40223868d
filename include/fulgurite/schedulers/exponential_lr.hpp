// SPDX-License-Identifier: MIT
// Schedule: the same factor in every step.
#pragma once

#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Multiplies the learning rate by `gamma` in every step. torch.optim.lr_scheduler.ExponentialLR.
struct ExponentialLR {
  double gamma = 0.0;  ///< factor of a step, above 0; there is no default

  constexpr double lr(const RatePoint& point) const {
    switch (point.arrival) {
      case Arrival::attached: return point.current;
      case Arrival::restarted: return point.base;
      case Arrival::advanced: break;
    }
    return point.current * gamma;
  }

  constexpr const char* problem() const {
    return gamma > 0.0 ? nullptr : "ExponentialLR.gamma must be above 0: the factor of every step, such as 0.95";
  }

  /// Calls f("ExponentialLR.gamma", schedule.gamma) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("ExponentialLR.gamma", schedule.gamma);
  }

  friend constexpr bool operator==(ExponentialLR, ExponentialLR) = default;
  friend std::ostream& operator<<(std::ostream& out, ExponentialLR schedule) {
    return detail::print(out, "ExponentialLR", detail::field("gamma", schedule.gamma));
  }
};

}  // namespace fulgurite
