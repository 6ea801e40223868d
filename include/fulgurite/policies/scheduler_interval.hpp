// SPDX-License-Identifier: MIT
// Slot: when a learning-rate schedule advances. A trainer's policy holds for the schedules that don't say otherwise.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

namespace slots {
struct SchedulerInterval;
}

/// Where in an epoch a schedule is asked whether it is due. Asked after each batch that stepped the optimizer, and once
/// at the end of each completed epoch.
struct SchedulePoint {
  std::int64_t epoch;  ///< this epoch, from 0
  std::int64_t batch;  ///< batches of this epoch so far, this one included
  std::int64_t steps;  ///< optimizer steps of this epoch so far, this one included
};

/// A schedule advances after every `frequency`-th optimizer step of an epoch.
struct EveryStep {
  using slot = slots::SchedulerInterval;
  std::int64_t frequency = 1;  ///< optimizer steps, at least 1

  constexpr bool due_after_step(const SchedulePoint& point) const { return point.steps % frequency == 0; }
  constexpr bool due_after_epoch(const SchedulePoint&) const { return false; }

  constexpr const char* problem() const {
    return frequency >= 1 ? nullptr : "EveryStep.frequency must be 1 or more";
  }

  /// Calls f("EveryStep.frequency", interval.frequency): for the state of a schedule that advances so.
  static constexpr void for_each_field(auto& interval, auto&& f) { f("EveryStep.frequency", interval.frequency); }

  friend constexpr bool operator==(EveryStep, EveryStep) = default;
  friend std::ostream& operator<<(std::ostream& out, EveryStep policy) {
    return detail::print(out, "EveryStep", detail::field("frequency", policy.frequency));
  }
};

/// A schedule advances when an optimizer step falls on a batch whose number in the epoch is a multiple of `frequency`:
/// PyTorch Lightning's `interval="step"`. The same as `EveryStep` unless gradients are accumulated.
struct EveryBatch {
  using slot = slots::SchedulerInterval;
  std::int64_t frequency = 1;  ///< batches, at least 1

  constexpr bool due_after_step(const SchedulePoint& point) const { return point.batch % frequency == 0; }
  constexpr bool due_after_epoch(const SchedulePoint&) const { return false; }

  constexpr const char* problem() const {
    return frequency >= 1 ? nullptr : "EveryBatch.frequency must be 1 or more";
  }

  /// Calls f("EveryBatch.frequency", interval.frequency): for the state of a schedule that advances so.
  static constexpr void for_each_field(auto& interval, auto&& f) { f("EveryBatch.frequency", interval.frequency); }

  friend constexpr bool operator==(EveryBatch, EveryBatch) = default;
  friend std::ostream& operator<<(std::ostream& out, EveryBatch policy) {
    return detail::print(out, "EveryBatch", detail::field("frequency", policy.frequency));
  }
};

/// A schedule advances at the end of every `frequency`-th epoch, after the last batch and before validation (one that
/// follows a metric: after validation and on_train_epoch_end).
struct EveryEpoch {
  using slot = slots::SchedulerInterval;
  std::int64_t frequency = 1;  ///< epochs, at least 1

  constexpr bool due_after_step(const SchedulePoint&) const { return false; }
  constexpr bool due_after_epoch(const SchedulePoint& point) const { return (point.epoch + 1) % frequency == 0; }

  constexpr const char* problem() const {
    return frequency >= 1 ? nullptr : "EveryEpoch.frequency must be 1 or more";
  }

  /// Calls f("EveryEpoch.frequency", interval.frequency): for the state of a schedule that advances so.
  static constexpr void for_each_field(auto& interval, auto&& f) { f("EveryEpoch.frequency", interval.frequency); }

  friend constexpr bool operator==(EveryEpoch, EveryEpoch) = default;
  friend std::ostream& operator<<(std::ostream& out, EveryEpoch policy) {
    return detail::print(out, "EveryEpoch", detail::field("frequency", policy.frequency));
  }
};

/// Concept of the slot.
template <class P>
concept SchedulerIntervalPolicy = requires(const P& policy, const SchedulePoint& point) {
  { policy.due_after_step(point) } -> std::convertible_to<bool>;
  { policy.due_after_epoch(point) } -> std::convertible_to<bool>;
};

namespace slots {
struct SchedulerInterval {
  using fallback = EveryEpoch;
  template <class P>
  static constexpr bool accepts = SchedulerIntervalPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
