// SPDX-License-Identifier: MIT
// A schedule under way on an optimizer: how often it has advanced, from which rates it started, which it wrote last.
// The trainer's schedules (loop/configured_optimizer.hpp) and those without a trainer (standalone_scheduler.hpp) are this.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/policies/policy.hpp>
#include "detail/fields.hpp"
#include "schedule_state.hpp"

namespace fulgurite {

namespace detail {

template <class Optimizer>
void read_lrs(const Optimizer& optimizer, std::vector<double>& lrs) {
  lrs.resize(static_cast<std::size_t>(optimizer.group_count()));
  for (std::size_t at = 0; at < lrs.size(); ++at) lrs[at] = optimizer.lr(static_cast<std::int64_t>(at));
}

/// The groups' momenta; leaves the list as it is where the optimizer has none.
template <class Optimizer>
void read_momenta([[maybe_unused]] const Optimizer& optimizer, [[maybe_unused]] std::vector<double>& momenta) {
  if constexpr (HasMomentum<Optimizer>) {
    momenta.resize(static_cast<std::size_t>(optimizer.group_count()));
    for (std::size_t at = 0; at < momenta.size(); ++at) momenta[at] = optimizer.momentum(static_cast<std::int64_t>(at));
  }
}

template <class Optimizer>
void set_momenta([[maybe_unused]] Optimizer& optimizer, [[maybe_unused]] const std::vector<double>& momenta) {
  if constexpr (HasMomentum<Optimizer>) {
    for (std::size_t at = 0; at < momenta.size(); ++at) optimizer.set_momentum(static_cast<std::int64_t>(at), momenta[at]);
  }
}

template <class Optimizer>
void set_lrs(Optimizer& optimizer, const std::vector<double>& lrs) {
  for (std::size_t at = 0; at < lrs.size(); ++at) optimizer.set_lr(static_cast<std::int64_t>(at), lrs[at]);
}

/// What every running schedule has: the optimizer's rates after its last step.
class LastRates {
 public:
  double last_lr(std::int64_t group = 0) const { return last_lrs_.at(static_cast<std::size_t>(group)); }

 protected:
  template <class Optimizer>
  void read_last_lrs(const Optimizer& optimizer) {
    read_lrs(optimizer, last_lrs_);
  }

  /// Calls `write`, which sets the groups' rates and, if `momenta`, their momenta. If the optimizer refuses one of them, all
  /// are what they were.
  template <bool momenta = false, class Optimizer, class Write>
  void write_all_or_none(Optimizer& optimizer, const Write& write) {
    read_lrs(optimizer, lrs_before_);
    if constexpr (momenta) read_momenta(optimizer, momenta_before_);
    try {
      write();
    } catch (...) {
      set_lrs(optimizer, lrs_before_);
      if constexpr (momenta) set_momenta(optimizer, momenta_before_);
      throw;
    }
    read_last_lrs(optimizer);
  }

  void remember_last_lrs() { last_lrs_before_ = last_lrs_; }
  void last_lrs_go_back() { last_lrs_ = last_lrs_before_; }

  std::vector<double> last_lrs_;  // one a group

 private:
  std::vector<double> last_lrs_before_;
  std::vector<double> lrs_before_;  // kept so that a step allocates nothing
  std::vector<double> momenta_before_;
};

/// The initial rates of an optimizer's groups, which all of its schedules share: as PyTorch's `initial_lr`, they are
/// taken when the first schedule is attached.
template <class Optimizer>
void take_initial_lrs(const Optimizer& optimizer, std::vector<double>& initial_lrs) {
  if (!initial_lrs.empty()) return;
  for (std::int64_t group = 0; group < optimizer.group_count(); ++group) initial_lrs.push_back(optimizer.lr(group));
}

/// Runs a pure schedule.
template <PureScheduler Schedule>
class RunningPure : public LastRates {
 public:
  explicit RunningPure(Schedule schedule) : schedule_(std::move(schedule)) { require_sensible(schedule_); }

  /// Step 0: remembers the rates it starts from and sets its first ones. `initial_lrs` is empty for an optimizer's
  /// first schedule.
  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
    const std::int64_t groups = optimizer.group_count();
    if constexpr (requires { schedule_.require_groups(groups); }) schedule_.require_groups(groups);
    constexpr bool starts_anew = requires { schedule_.start_lr(groups); };
    if constexpr (starts_anew) {  // CyclicLR writes its own before all else
      for (std::int64_t group = 0; group < groups; ++group) optimizer.set_lr(group, schedule_.start_lr(group));
    }
    take_initial_lrs(optimizer, initial_lrs);
    if constexpr (requires { schedule_.initial_lr(groups); }) {  // OneCycleLR replaces the optimizer's
      initial_lrs.clear();
      for (std::int64_t group = 0; group < groups; ++group) initial_lrs.push_back(schedule_.initial_lr(group));
    }
    base_lrs_ = initial_lrs;
    base_momenta_.clear();
    if constexpr (HasMomentum<Optimizer>) {
      for (std::int64_t group = 0; group < groups; ++group) base_momenta_.push_back(optimizer.momentum(group));
    }
    move_to(0, optimizer, Arrival::attached);
    if constexpr (starts_anew) {
      set_lrs(optimizer, base_lrs_);
      read_last_lrs(optimizer);
    }
  }

  /// One step on.
  template <class Optimizer>
  void advance(Optimizer& optimizer) {
    move_to(step_ + 1, optimizer, Arrival::advanced);
  }

  // What sequences and chains do to their parts.
  void remember() {
    step_before_ = step_;
    remember_last_lrs();
  }
  void go_back() {
    step_ = step_before_;
    last_lrs_go_back();
  }
  void undo() { --step_; }
  template <class Optimizer>
  void begin(Optimizer& optimizer) {
    move_to(step_ + 1, optimizer, Arrival::attached);
  }
  template <class Optimizer>
  void restart(Optimizer& optimizer) {
    move_to(0, optimizer, Arrival::restarted);
  }
  template <class Optimizer>
  void reattach(Optimizer& optimizer) {
    move_to(0, optimizer, Arrival::attached);
  }

  ScheduleState state() const {
    ScheduleState saved;
    saved.set("last_epoch", static_cast<double>(step_));
    saved.set("base_lrs", base_lrs_);
    saved.set("_last_lr", last_lrs_);
    if constexpr (MomentumScheduler<Schedule>) saved.set("base_momenta", base_momenta_);
    save_fields(schedule_, saved);
    return saved;
  }
  /// Throws std::invalid_argument if the state is another kind's, or was saved with other values of the schedule.
  void load_state(const ScheduleState& saved) {
    require_same_kind(state(), saved);
    require_same_fields(schedule_, saved);
    const auto step = static_cast<std::int64_t>(saved.number("last_epoch"));
    const auto& base_lrs = saved.list("base_lrs", base_lrs_.size());
    const auto& last_lrs = saved.list("_last_lr", base_lrs_.size());
    if constexpr (MomentumScheduler<Schedule>) {  // PyTorch keeps them in the optimizer
      if (saved.has("base_momenta")) base_momenta_ = saved.list("base_momenta", base_momenta_.size());
    }
    step_ = step;
    base_lrs_ = base_lrs;
    last_lrs_ = last_lrs;
  }
  /// As load_state, but takes the values of the schedule over as well.
  void take_over(const ScheduleState& saved) {
    with_fields_of(saved, schedule_, [&](const Schedule& taken) {
      const auto groups = static_cast<std::int64_t>(base_lrs_.size());
      if constexpr (requires { taken.require_groups(groups); }) taken.require_groups(groups);
      load_state(saved);
    });
  }

  std::int64_t steps() const { return step_; }
  const Schedule& schedule() const { return schedule_; }

 private:
  template <class Optimizer>
  void move_to(std::int64_t step, Optimizer& optimizer, Arrival arrival) {
    write_all_or_none<MomentumScheduler<Schedule>>(optimizer, [&] {
      for (std::int64_t group = 0; group < optimizer.group_count(); ++group) {
        const auto at = static_cast<std::size_t>(group);
        optimizer.set_lr(group, schedule_.lr({step, base_lrs_[at], optimizer.lr(group), group, arrival}));
        if constexpr (MomentumScheduler<Schedule>) write_momentum(step, optimizer, group, arrival);
      }
    });
    step_ = step;
  }

  template <class Optimizer>
  void write_momentum(std::int64_t step, Optimizer& optimizer, std::int64_t group, Arrival arrival) {
    if constexpr (HasMomentum<Optimizer>) {
      const double base = base_momenta_[static_cast<std::size_t>(group)];
      if (const auto momentum = schedule_.momentum({step, base, optimizer.momentum(group), group, arrival})) {
        optimizer.set_momentum(group, *momentum);
      }
    } else if (schedule_.momentum({step, 0.0, 0.0, group, arrival})) {
      throw std::invalid_argument(
          "fulgurite: this schedule drives the momentum, but the optimizer has none: set .momentum_range = std::nullopt, "
          "or use an optimizer with momentum");
    }
  }

  Schedule schedule_;
  std::int64_t step_ = 0;
  std::int64_t step_before_ = 0;
  std::vector<double> base_lrs_;      // one a group
  std::vector<double> base_momenta_;  // one a group, if the optimizer has momenta
};

/// Runs a schedule that follows a metric.
template <MetricScheduler Schedule>
class RunningOnMetric : public LastRates {
 public:
  explicit RunningOnMetric(Schedule schedule) : schedule_(std::move(schedule)), state_(schedule_.start()) {
    require_sensible(schedule_);
  }

  /// Remembers how many groups there are; changes no rate.
  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& /*initial_lrs*/) {
    if constexpr (requires { schedule_.require_groups(std::int64_t{}); }) schedule_.require_groups(optimizer.group_count());
    step_ = 0;
    state_ = schedule_.start();
    read_last_lrs(optimizer);
  }

  /// One step on, with the metric's new value.
  template <class Optimizer>
  void advance(Optimizer& optimizer, double metric) {
    auto state = state_;
    schedule_.advance(state, metric);
    write_all_or_none(optimizer, [&] {
      for (std::int64_t group = 0; group < optimizer.group_count(); ++group) {
        const double current = optimizer.lr(group);
        const double lr = schedule_.lr(state, {step_ + 1, current, current, group});
        if (lr != current) optimizer.set_lr(group, lr);
      }
    });
    state_ = std::move(state);
    ++step_;
  }

  ScheduleState state() const {
    ScheduleState saved;
    saved.set("last_epoch", static_cast<double>(step_));
    schedule_.save(state_, saved);
    saved.set("_last_lr", last_lrs_);
    save_fields(schedule_, saved);
    return saved;
  }
  /// Throws std::invalid_argument if the state is another kind's, or was saved with other values of the schedule.
  void load_state(const ScheduleState& saved) {
    require_same_kind(state(), saved);
    require_same_fields(schedule_, saved);
    const auto step = static_cast<std::int64_t>(saved.number("last_epoch"));
    const auto& last_lrs = saved.list("_last_lr", last_lrs_.size());
    auto state = state_;
    schedule_.load(state, saved);
    state_ = state;
    step_ = step;
    last_lrs_ = last_lrs;
  }
  /// As load_state, but takes the values of the schedule over as well.
  void take_over(const ScheduleState& saved) {
    with_fields_of(saved, schedule_, [&](const Schedule& taken) {
      const auto groups = static_cast<std::int64_t>(last_lrs_.size());
      if constexpr (requires { taken.require_groups(groups); }) taken.require_groups(groups);
      load_state(saved);
    });
  }

  std::int64_t steps() const { return step_; }
  const Schedule& schedule() const { return schedule_; }

 private:
  Schedule schedule_;
  typename Schedule::State state_;
  std::int64_t step_ = 0;
};

template <class Schedule>
struct running_of;
template <PureScheduler Schedule>
struct running_of<Schedule> {
  using type = RunningPure<Schedule>;
};
template <MetricScheduler Schedule>
struct running_of<Schedule> {
  using type = RunningOnMetric<Schedule>;
};
template <CompositeScheduler Schedule>
struct running_of<Schedule> {
  using type = typename Schedule::Running;
};

}  // namespace detail

/// A schedule with its progress on one optimizer: `attach(optimizer, initial_lrs)`, then `advance(optimizer)` or, for one
/// that follows a metric, `advance(optimizer, metric)`; `state()` and `load_state(state)` carry it over to another run whose
/// schedule has the same values, `take_over(state)` the values as well.
template <Scheduler Schedule>
using RunningSchedule = typename detail::running_of<Schedule>::type;

}  // namespace fulgurite
