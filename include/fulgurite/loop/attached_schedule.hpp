// SPDX-License-Identifier: MIT
// A schedule of an optimizer in a trainer: when it advances, how far it has come, which metric it follows.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include <fulgurite/schedulers/detail/fields.hpp>
#include <fulgurite/schedulers/running_schedule.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>

namespace fulgurite {

/// The interval of a schedule that leaves it to the trainer.
struct TrainerInterval {};

/// A schedule, when it advances, and how far it has come.
template <Scheduler Schedule, class Interval>
class AttachedSchedule {
 public:
  /// Follows a metric, so it advances after validation.
  static constexpr bool follows_metric = MetricScheduler<Schedule>;
  /// Has an interval of its own.
  static constexpr bool has_interval = !std::is_same_v<Interval, TrainerInterval>;

  AttachedSchedule(Schedule schedule, Interval interval) : running_(std::move(schedule)), interval_(interval) {
    detail::require_sensible(interval_);
  }

  /// Step 0: remembers the rates it starts from and sets its first ones. `initial_lrs` is empty for the first schedule.
  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
    running_.attach(optimizer, initial_lrs);
  }

  /// One step on.
  template <class Optimizer>
  void advance(Optimizer& optimizer)
    requires(!follows_metric)
  {
    running_.advance(optimizer);
  }
  template <class Optimizer>
  void advance(Optimizer& optimizer, double metric)
    requires follows_metric
  {
    running_.advance(optimizer, metric);
  }

  /// The value of its metric: after a step the batch's own where there is one, else the epoch's mean. Nothing if it is
  /// not known and the schedule isn't strict; throws std::invalid_argument if it is.
  std::optional<double> metric(const Metrics& metrics, bool after_step) const
    requires follows_metric
  {
    if (is_strict() && !metrics.find(schedule().monitor())) {
      throw std::invalid_argument(metrics.missing("the plateau schedule", schedule().monitor()));
    }
    return after_step ? metrics.batch_value(schedule().monitor()) : metrics.value(schedule().monitor());
  }

  /// Calls `advance` with the same, unless it was not logged since the last call. One whose step was refused is new still.
  template <class Advance>
  void feed(const Metrics& metrics, bool after_step, const Advance& advance)
    requires follows_metric
  {
    const std::optional<double> value = metric(metrics, after_step);
    if (!value) return;
    const std::int64_t call = metrics.find(schedule().monitor())->call;  // of either stage that logs the name
    const std::int64_t call_before = std::exchange(metric_call_, call);
    if (call == call_before) return;
    const std::int64_t steps_before = steps();
    try {
      advance(value);
    } catch (...) {
      if (steps() == steps_before) metric_call_ = call_before;
      throw;
    }
  }

  /// Its own interval, or the trainer's.
  template <class Default>
  const auto& interval_or(const Default& trainers) const {
    if constexpr (has_interval) {
      return interval_;
    } else {
      return trainers;
    }
  }

  template <class Default>
  bool due_after_step(const Default& trainers, const SchedulePoint& point) const {
    return interval_or(trainers).due_after_step(point);
  }
  template <class Default>
  bool due_after_epoch(const Default& trainers, const SchedulePoint& point) const {
    return interval_or(trainers).due_after_epoch(point);
  }

  std::int64_t steps() const { return running_.steps(); }                           ///< how often it has advanced
  double last_lr(std::int64_t group = 0) const { return running_.last_lr(group); }  ///< after its last step
  const Schedule& schedule() const { return running_.schedule(); }

  /// What a checkpoint keeps of it. `metric_call` belongs to the metrics: leave it out where those are not restored.
  ScheduleState state() const {
    ScheduleState saved = running_.state();
    detail::save_fields(interval_, saved);
    if constexpr (follows_metric) saved.set("metric_call", static_cast<double>(metric_call_));
    return saved;
  }
  /// Throws std::invalid_argument if the state is another kind's, of another number of groups or of a schedule with other
  /// values, and changes nothing then.
  void load_state(const ScheduleState& saved) {
    require_same_kind_of_interval(saved);
    detail::require_same_fields(interval_, saved);
    running_.load_state(without_interval(saved));
    load_metric_call(saved);
  }
  /// As load_state, but the schedule gets the values that it was saved with, and the frequency of an interval of its own.
  void take_over(const ScheduleState& saved) {
    require_same_kind_of_interval(saved);
    detail::with_fields_of(saved, interval_, [&](const Interval&) {
      if constexpr (requires { running_.take_over(saved); }) {
        running_.take_over(without_interval(saved));
      } else {
        running_.load_state(without_interval(saved));
      }
    });
    load_metric_call(saved);
  }

 private:
  /// An interval of another class has a field of another name.
  void require_same_kind_of_interval(const ScheduleState& saved) const {
    ScheduleState own;
    detail::save_fields(interval_, own);
    for (const char* name : {"EveryStep.frequency", "EveryBatch.frequency", "EveryEpoch.frequency"}) {
      if (!saved.has(name) || own.has(name)) continue;
      const std::string there(name, std::string_view(name).find('.'));
      throw std::invalid_argument("fulgurite: the schedule advanced by fg::" + there +
                                  " of its own when it was saved, and does "
                                  "not now: give .lr_scheduler(schedule, interval) the interval that it had");
    }
  }

  /// What the schedule itself saved.
  ScheduleState without_interval(const ScheduleState& saved) const {
    ScheduleState own, rest;
    detail::save_fields(interval_, own);
    for (const auto& [name, values] : saved.entries()) {
      if (!own.has(name)) rest.set(name, values);
    }
    return rest;
  }

  void load_metric_call(const ScheduleState& saved) {
    if constexpr (follows_metric) {
      metric_call_ = saved.has("metric_call") ? static_cast<std::int64_t>(saved.number("metric_call")) : 0;
    }
  }

  bool is_strict() const {
    if constexpr (requires { { schedule().strict } -> std::convertible_to<bool>; }) return schedule().strict;
    return true;
  }

  RunningSchedule<Schedule> running_;
  [[no_unique_address]] Interval interval_;
  std::int64_t metric_call_ = 0;  // of step.log, which gave the value that was last taken
};

}  // namespace fulgurite
