// SPDX-License-Identifier: MIT
// What a learning-rate schedule is: a value and a pure function of where it stands. State lives with the optimizer that
// it drives, so a schedule may be copied, compared and called alone.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>

namespace fulgurite {

/// Where a schedule stands. Step 0 is the moment in which it is attached to its optimizer, before any training.
struct RatePoint {
  std::int64_t step;  ///< how often the schedule has advanced
  double base;        ///< the value at step 0, before the schedule touched it
  double current;     ///< the value now: the schedule's own last one, or what somebody else wrote since
};

/// `lr(point)` is the learning rate at a point. Schedules that multiply (StepDecay, CosineAnnealing, …) start from
/// `point.current`, so that several of them on one optimizer work together, as in PyTorch.
template <class S>
concept Scheduler = std::copyable<S> && requires(const S& schedule, const RatePoint& point) {
  { schedule.lr(point) } -> std::convertible_to<double>;
};

/// A schedule that drives the momentum too (beta1 for the Adam family); nothing means that it leaves it alone.
template <class S>
concept MomentumScheduler = Scheduler<S> && requires(const S& schedule, const RatePoint& point) {
  { schedule.momentum(point) } -> std::same_as<std::optional<double>>;
};

}  // namespace fulgurite
