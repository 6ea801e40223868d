// SPDX-License-Identifier: MIT
// What configure_optimizers returns: an optimizer and the schedules that drive it.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/size.hpp>
#include <boost/hana/tuple.hpp>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/optim/optimizer.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include <fulgurite/schedulers/scheduler.hpp>

namespace fulgurite {

/// The interval of a schedule that leaves it to the trainer.
struct TrainerInterval {};

/// A schedule, when it advances, and how far it has come.
template <Scheduler Schedule, class Interval>
class AttachedSchedule {
 public:
  AttachedSchedule(Schedule schedule, Interval interval) : schedule_(std::move(schedule)), interval_(interval) {
    require_sensible(schedule_);
    require_sensible(interval_);
  }

  /// Step 0: remembers the rates it starts from and sets its first ones.
  template <class Optimizer>
  void attach(Optimizer& optimizer, const std::vector<double>& base_lrs, const std::vector<double>& base_momenta) {
    base_lrs_ = base_lrs;
    base_momenta_ = base_momenta;
    write(optimizer);
  }

  /// One step on.
  template <class Optimizer>
  void advance(Optimizer& optimizer) {
    ++steps_;
    write(optimizer);
  }

  template <class Default>
  bool due_after_step(const Default& trainers, const SchedulePoint& point) const {
    return interval_or(trainers).due_after_step(point);
  }
  template <class Default>
  bool due_after_epoch(const Default& trainers, const SchedulePoint& point) const {
    return interval_or(trainers).due_after_epoch(point);
  }

  std::int64_t steps() const { return steps_; }  ///< how often it has advanced
  const Schedule& schedule() const { return schedule_; }

 private:
  template <class Value>
  static void require_sensible(const Value& value) {
    if constexpr (SelfChecking<Value>) {
      if (const char* problem = value.problem()) throw std::invalid_argument(std::string("fulgurite: ") + problem);
    }
  }

  template <class Default>
  const auto& interval_or(const Default& trainers) const {
    if constexpr (std::is_same_v<Interval, TrainerInterval>) {
      return trainers;
    } else {
      return interval_;
    }
  }

  template <class Optimizer>
  void write(Optimizer& optimizer) {
    for (std::int64_t group = 0; group < optimizer.group_count(); ++group) {
      const auto at = static_cast<std::size_t>(group);
      optimizer.set_lr(group, schedule_.lr({steps_, base_lrs_[at], optimizer.lr(group)}));
      if constexpr (MomentumScheduler<Schedule> && HasMomentum<Optimizer>) {
        if (const auto momentum = schedule_.momentum({steps_, base_momenta_[at], optimizer.momentum(group)})) {
          optimizer.set_momentum(group, *momentum);
        }
      }
    }
  }

  Schedule schedule_;
  [[no_unique_address]] Interval interval_;
  std::int64_t steps_ = 0;
  std::vector<double> base_lrs_;      // one a group
  std::vector<double> base_momenta_;  // one a group, if the optimizer has momenta
};

/// An optimizer with its schedules. Made by `fg::optimizer(...)`.
template <Optimizer O, class... Attached>
class ConfiguredOptimizer {
 public:
  using optimizer_type = O;
  static constexpr std::size_t schedule_count = sizeof...(Attached);

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
      std::vector<double> lrs;
      std::vector<double> momenta;
      for (std::int64_t group = 0; group < optimizer_.group_count(); ++group) {
        lrs.push_back(optimizer_.lr(group));
        if constexpr (HasMomentum<O>) momenta.push_back(optimizer_.momentum(group));
      }
      boost::hana::for_each(schedules_, [&](auto& schedule) { schedule.attach(optimizer_, lrs, momenta); });
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
