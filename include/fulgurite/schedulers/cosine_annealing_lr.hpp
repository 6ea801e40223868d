// SPDX-License-Identifier: MIT
// Schedule: half a cosine down.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Anneals the learning rate along half a cosine, from its base to `min_lr` in `t_max` steps; past that it rises again.
/// torch.optim.lr_scheduler.CosineAnnealingLR, in its chainable form (Loshchilov and Hutter, SGDR, 2017, without
/// restarts).
struct CosineAnnealingLR {
  std::int64_t t_max = 0;  ///< steps from the base down to `min_lr`, at least 1
  double min_lr = 0.0;      ///< smallest learning rate

  double lr(const RatePoint& point) const {
    if (point.arrival == Arrival::attached) return point.current;
    if (point.arrival == Arrival::restarted) return min_lr + (point.base - min_lr);
    if ((point.step - 1 - t_max) % (2 * t_max) == 0) {  // the factor below would divide by zero
      return point.current + (point.base - min_lr) * (1.0 - cosine(1)) / 2.0;
    }
    return (1.0 + cosine(point.step)) / (1.0 + cosine(point.step - 1)) * (point.current - min_lr) + min_lr;
  }

  constexpr const char* problem() const {
    if (t_max < 1) return "CosineAnnealingLR.t_max must be 1 or more: the steps from the base rate to min_lr";
    return min_lr >= 0.0 ? nullptr : "CosineAnnealingLR.min_lr must be 0 or more";
  }

  /// Steps until it has come to its end.
  constexpr std::int64_t length() const { return t_max; }
  static constexpr bool throws_beyond_length = false;

  /// Calls f("CosineAnnealingLR.t_max", schedule.t_max) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("CosineAnnealingLR.t_max", schedule.t_max);
    f("CosineAnnealingLR.min_lr", schedule.min_lr);
  }

  friend constexpr bool operator==(CosineAnnealingLR, CosineAnnealingLR) = default;
  friend std::ostream& operator<<(std::ostream& out, CosineAnnealingLR schedule) {
    return detail::print(out, "CosineAnnealingLR", detail::field("t_max", schedule.t_max),
                         detail::field("min_lr", schedule.min_lr));
  }

 private:
  double cosine(std::int64_t step) const {
    return std::cos(std::numbers::pi * static_cast<double>(step) / static_cast<double>(t_max));
  }
};

}  // namespace fulgurite
