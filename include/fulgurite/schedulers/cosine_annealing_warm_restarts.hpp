// SPDX-License-Identifier: MIT
// Schedule: half a cosine down, again and again.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Anneals the learning rate along half a cosine from its base to `min_lr`, then starts again at the base, each time
/// `multiplier` times as slowly. torch.optim.lr_scheduler.CosineAnnealingWarmRestarts (Loshchilov and Hutter, SGDR, 2017).
/// It overwrites what other schedules wrote.
struct CosineAnnealingWarmRestarts {
  std::int64_t period = 0;      ///< steps until the first restart, at least 1
  std::int64_t multiplier = 1;  ///< how much longer each period is than the one before it, at least 1
  double min_lr = 0.0;          ///< smallest learning rate

  double lr(const RatePoint& point) const {
    std::int64_t step = point.step;
    std::int64_t length = period;
    if (multiplier == 1) step %= length;
    while (step >= length) {
      step -= length;
      length *= multiplier;
    }
    const double angle = std::numbers::pi * static_cast<double>(step) / static_cast<double>(length);
    return min_lr + (point.base - min_lr) * (1.0 + std::cos(angle)) / 2.0;
  }

  constexpr const char* problem() const {
    if (period < 1) return "CosineAnnealingWarmRestarts.period must be 1 or more: the steps until the first restart";
    if (multiplier < 1) return "CosineAnnealingWarmRestarts.multiplier must be 1 or more";
    return min_lr >= 0.0 ? nullptr : "CosineAnnealingWarmRestarts.min_lr must be 0 or more";
  }

  /// Calls f("CosineAnnealingWarmRestarts.period", schedule.period) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("CosineAnnealingWarmRestarts.period", schedule.period);
    f("CosineAnnealingWarmRestarts.multiplier", schedule.multiplier);
    f("CosineAnnealingWarmRestarts.min_lr", schedule.min_lr);
  }

  friend constexpr bool operator==(CosineAnnealingWarmRestarts, CosineAnnealingWarmRestarts) = default;
  friend std::ostream& operator<<(std::ostream& out, CosineAnnealingWarmRestarts schedule) {
    return detail::print(out, "CosineAnnealingWarmRestarts", detail::field("period", schedule.period),
                         detail::field("multiplier", schedule.multiplier),
                         detail::field("min_lr", schedule.min_lr));
  }
};

}  // namespace fulgurite
