// SPDX-License-Identifier: MIT
// What a learning-rate schedule is: a value that says what a rate becomes at a point. How far it has come, and whatever
// else it must remember, is kept beside it (schedulers/running_schedule.hpp), so a schedule may be copied, compared and called
// alone.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string_view>

namespace fulgurite {

class ScheduleState;

/// How a schedule came to the step at which it stands.
enum class Arrival {
  attached,   ///< step 0, given to its optimizer
  advanced,   ///< one step on
  restarted,  ///< step 0, when a sequence hands over to it: PyTorch then computes the closed form
};

/// Where a schedule stands. Step 0 is the moment in which it is attached to its optimizer, before any training.
struct RatePoint {
  std::int64_t step;       ///< how often the schedule has advanced
  double base;             ///< the group's initial value, before any schedule touched it
  double current;          ///< the value now: the schedule's own last one, or what somebody else wrote since
  std::int64_t group = 0;  ///< parameter group
  Arrival arrival = step == 0 ? Arrival::attached : Arrival::advanced;
};

/// `lr(point)` is the learning rate at a point. Schedules that multiply (StepLR, CosineAnnealingLR, …) start from
/// `point.current`, so that several of them on one optimizer work together, as in PyTorch.
template <class S>
concept PureScheduler = requires(const S& schedule, const RatePoint& point) {
  { schedule.lr(point) } -> std::convertible_to<double>;
};

/// A pure schedule that drives the momentum too (beta1 for the Adam family); nothing means that it leaves it alone.
template <class S>
concept MomentumScheduler = PureScheduler<S> && requires(const S& schedule, const RatePoint& point) {
  { schedule.momentum(point) } -> std::same_as<std::optional<double>>;
};

/// A schedule that follows a metric, whose name is `monitor()`. It starts from `start()`, takes each new value in by
/// `advance(state, metric)`, and `lr(state, point)` is the rate afterwards. `save` and `load` name the state's numbers.
template <class S>
concept MetricScheduler =
    requires(const S& schedule, typename S::State& state, const typename S::State& constant, double metric,
             const RatePoint& point, ScheduleState& saved, const ScheduleState& loaded) {
      { schedule.start() } -> std::same_as<typename S::State>;
      schedule.advance(state, metric);
      { schedule.lr(constant, point) } -> std::convertible_to<double>;
      { schedule.monitor() } -> std::convertible_to<std::string_view>;
      schedule.save(constant, saved);
      schedule.load(state, loaded);
    };

/// A schedule made of schedules: `S::Running` is what drives them (SequentialLR, ChainedScheduler).
template <class S>
concept CompositeScheduler = requires { typename S::Running; };

/// Any of these.
template <class S>
concept Scheduler =
    std::copy_constructible<S> && (PureScheduler<S> || MetricScheduler<S> || CompositeScheduler<S>);

}  // namespace fulgurite
