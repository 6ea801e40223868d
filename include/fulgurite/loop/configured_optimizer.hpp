// SPDX-License-Identifier: MIT
// What configure_optimizers returns: an optimizer and the schedules that drive it.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/size.hpp>
#include <boost/hana/tuple.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/optim/optimizer.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include <fulgurite/schedulers/running_schedule.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>
#include <fulgurite/schedulers/scheduler.hpp>

namespace fulgurite {

/// The interval of a schedule that leaves it to the trainer.
struct TrainerInterval {};

/// A schedule, when it advances, and how far it has come.
template <Scheduler Schedule, class Interval>
class AttachedSchedule {
 public:
  /// Follows a metric, so it advances after validation.
  static constexpr bool follows_metric = MetricScheduler<Schedule>;

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
    const Metric* found = metrics.find(schedule().monitor());
    if (!found) {
      if (is_strict()) throw std::invalid_argument(missing_metric(metrics));
      return std::nullopt;
    }
    return after_step ? metrics.batch_value(schedule().monitor()) : metrics.value(schedule().monitor());
  }

  /// The same, but nothing also if it was not logged since the last call.
  std::optional<double> new_metric(const Metrics& metrics, bool after_step)
    requires follows_metric
  {
    const std::optional<double> value = metric(metrics, after_step);
    if (!value) return std::nullopt;
    const std::int64_t count = metrics.find(schedule().monitor())->count;
    return std::exchange(metric_count_, count) == count ? std::nullopt : value;
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

  /// What a checkpoint keeps of it. `metric_count` belongs to the metrics: leave it out where those are not restored.
  ScheduleState state() const {
    ScheduleState saved = running_.state();
    if constexpr (follows_metric) saved.set("metric_count", static_cast<double>(metric_count_));
    return saved;
  }
  /// Throws std::invalid_argument if the state is another kind's or of another number of groups, and changes nothing then.
  void load_state(const ScheduleState& saved) {
    running_.load_state(saved);
    if constexpr (follows_metric) {
      metric_count_ = saved.has("metric_count") ? static_cast<std::int64_t>(saved.number("metric_count")) : 0;
    }
  }

 private:
  template <class Default>
  const auto& interval_or(const Default& trainers) const {
    if constexpr (std::is_same_v<Interval, TrainerInterval>) {
      return trainers;
    } else {
      return interval_;
    }
  }

  bool is_strict() const {
    if constexpr (requires { { schedule().strict } -> std::convertible_to<bool>; }) return schedule().strict;
    return true;
  }

  std::string missing_metric(const Metrics& metrics) const {
    std::string known;
    for (const Metric& metric : metrics.all()) known += (known.empty() ? "" : ", ") + metric.name;
    const std::string name(schedule().monitor());
    return "fulgurite: the plateau schedule follows the metric " + name + ", which has not been logged. Known metrics: " +
           (known.empty() ? "none" : known) + ". Log it with step.log(\"" + name + "\", value), or set .strict = false";
  }

  RunningSchedule<Schedule> running_;
  [[no_unique_address]] Interval interval_;
  std::int64_t metric_count_ = 0;  // of the metric's values, when one was last taken
};

/// An optimizer with its schedules. Made by `fg::optimizer(...)`.
template <Optimizer O, class... Attached>
class ConfiguredOptimizer {
 public:
  using optimizer_type = O;
  static constexpr std::size_t schedule_count = sizeof...(Attached);
  static constexpr bool follows_metrics = (Attached::follows_metric || ...);

  ConfiguredOptimizer(O optimizer, boost::hana::tuple<Attached...> schedules)
      : optimizer_(std::move(optimizer)), schedules_(std::move(schedules)) {}

  /// Adds a schedule that advances when the trainer's interval policy says.
  template <Scheduler Schedule>
  auto with(Schedule schedule) && {
    return std::move(*this).with(std::move(schedule), TrainerInterval{});
  }

  /// Adds a schedule with an interval of its own: `.with(fg::OneCycle{...}, fg::EveryStep{})`. Several schedules act in
  /// the order in which they were added, each on what the one before it wrote.
  template <Scheduler Schedule, class Interval>
  auto with(Schedule schedule, Interval interval) && {
    static_assert(HasLearningRate<O>,
                  "a schedule needs an optimizer with group_count(), lr(group) and set_lr(group, lr): this one has no "
                  "learning rate to drive. See docs/errors/schedule-without-rate.md");
    return boost::hana::unpack(std::move(schedules_), [&](auto&&... attached) {
      using Added = AttachedSchedule<Schedule, Interval>;
      return ConfiguredOptimizer<O, Attached..., Added>(
          std::move(optimizer_),
          boost::hana::tuple<Attached..., Added>{std::move(attached)..., Added{std::move(schedule), interval}});
    });
  }

  O& optimizer() { return optimizer_; }
  const O& optimizer() const { return optimizer_; }
  auto& schedules() { return schedules_; }

  /// Sets every schedule to its step 0. All start from the rates that the optimizer was made with.
  void attach_schedules() {
    if constexpr (schedule_count > 0) {
      std::vector<double> initial_lrs;
      boost::hana::for_each(schedules_, [&](auto& schedule) { schedule.attach(optimizer_, initial_lrs); });
    }
  }

 private:
  O optimizer_;
  boost::hana::tuple<Attached...> schedules_;
};

/// Starts a configuration: `return fg::optimizer(fg::AdamW(parameters(), {.lr = 3e-3})).with(schedule, interval);`.
/// Any `torch::optim::Optimizer` is taken too.
template <class O>
auto optimizer(O given) {
  using Adapted = adapted_optimizer<O>;
  return ConfiguredOptimizer<Adapted>(Adapted(std::move(given)), boost::hana::tuple<>{});
}

namespace detail {

template <class T>
inline constexpr bool is_configured = false;
template <class O, class... Attached>
inline constexpr bool is_configured<ConfiguredOptimizer<O, Attached...>> = true;

/// What configure_optimizers returned, as a configuration.
template <class Returned>
auto configured(Returned returned) {
  if constexpr (is_configured<Returned>) {
    return returned;
  } else {
    return fulgurite::optimizer(std::move(returned));
  }
}

}  // namespace detail

}  // namespace fulgurite
