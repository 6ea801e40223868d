// SPDX-License-Identifier: MIT
// The schedules of a sequence or chain, under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/schedulers/running_schedule.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>
#include "fields.hpp"

namespace fulgurite::detail {

/// None of them follows a metric, which nobody would hand to it.
template <class... Schedules>
inline constexpr bool parts_work = ((Scheduler<Schedules> && !MetricScheduler<Schedules>) && ...);

template <class... Schedules>
class Parts {
 public:
  explicit Parts(const std::tuple<Schedules...>& schedules)
      : parts_(
            std::apply([](const auto&... part) { return std::tuple<RunningSchedule<Schedules>...>(part...); }, schedules)) {}

  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
    each([&](auto& part) { part.attach(optimizer, initial_lrs); });
  }

  template <class F>
  void each(F f) {
    std::apply([&](auto&... part) { (f(part), ...); }, parts_);
  }
  /// f of the one at `index`.
  template <class F>
  void visit(std::size_t index, F f) {
    std::size_t at = 0;
    each([&](auto& part) {
      if (at++ == index) f(part);
    });
  }

  const auto& first() const { return std::get<0>(parts_); }

  /// Keeps how far each has come, for go_back.
  void remember() {
    each([](auto& part) {
      if constexpr (requires { part.remember(); }) part.remember();
    });
  }
  void go_back() {
    each([](auto& part) {
      if constexpr (requires { part.go_back(); }) part.go_back();
    });
  }

  void save(ScheduleState& saved) const {
    std::size_t at = 0;
    const auto save_one = [&](const auto& part) { saved.nest(prefix_of_part(at++), part.state()); };
    std::apply([&](const auto&... part) { (save_one(part), ...); }, parts_);
  }
  /// Loads all or, if one of them throws, none.
  void load(const ScheduleState& saved) {
    all_or_none(saved, [](auto& part, const ScheduleState& state) { part.load_state(state); });
  }
  /// Loads all with the values of their schedules or, if one of them throws, none.
  void take_over(const ScheduleState& saved) { all_or_none(saved, take_over_one); }

 private:
  // A schedule of the program's own that is made of others need not have take_over.
  static constexpr auto take_over_one = [](auto& part, const ScheduleState& state) {
    if constexpr (requires { part.take_over(state); }) {
      part.take_over(state);
    } else {
      part.load_state(state);
    }
  };

  template <class Load>
  void all_or_none(const ScheduleState& saved, Load load) {
    ScheduleState before;
    save(before);
    try {
      each_with_state(saved, load);
    } catch (...) {
      each_with_state(before, take_over_one);
      throw;
    }
  }

  template <class Load>
  void each_with_state(const ScheduleState& saved, Load load) {
    std::size_t at = 0;
    each([&](auto& part) { load(part, saved.part(prefix_of_part(at++))); });
  }

  std::tuple<RunningSchedule<Schedules>...> parts_;
};

/// What a sequence and a chain under way have in common.
template <class... Schedules>
class RunningParts : public LastRates {
 public:
  std::int64_t steps() const { return steps_; }

  // What a sequence or chain does to its parts, so that a rate which the optimizer refuses leaves all where they were.
  void remember() {
    steps_before_ = steps_;
    remember_last_lrs();
    parts_.remember();
  }
  void go_back() {
    steps_ = steps_before_;
    last_lrs_go_back();
    parts_.go_back();
  }

 protected:
  explicit RunningParts(const std::tuple<Schedules...>& schedules) : parts_(schedules) {}

  /// Calls `move`, which moves the parts on. If the optimizer refuses a rate, they, rates and momenta are where they were.
  template <class Optimizer, class Move>
  void move_all_or_none(Optimizer& optimizer, const Move& move) {
    remember();
    try {
      this->template write_all_or_none<may_write_momenta>(optimizer, move);
    } catch (...) {
      go_back();
      throw;
    }
  }

  void save_progress(ScheduleState& saved) const {
    saved.set("last_epoch", static_cast<double>(steps_));
    saved.set("base_lrs", initial_lrs_);
    saved.set("_last_lr", last_lrs_);
  }
  /// What save_progress wrote, and `load_parts()`, if the state is of the kind of `own`. Nothing if something throws.
  template <class LoadParts>
  void load_progress(const ScheduleState& own, const ScheduleState& saved, const LoadParts& load_parts) {
    require_same_kind(own, saved);
    const auto steps = static_cast<std::int64_t>(saved.number("last_epoch"));
    const auto& initial_lrs = saved.list("base_lrs", initial_lrs_.size());
    const auto& last_lrs = saved.list("_last_lr", initial_lrs_.size());
    load_parts();
    steps_ = steps;
    initial_lrs_ = initial_lrs;
    last_lrs_ = last_lrs;
  }

  Parts<Schedules...> parts_;
  std::int64_t steps_ = 0;
  std::vector<double> initial_lrs_;  // one a group

 private:
  // Of a composite's parts nothing is known here.
  static constexpr bool may_write_momenta = ((MomentumScheduler<Schedules> || CompositeScheduler<Schedules>) || ...);

  std::int64_t steps_before_ = 0;
};

}  // namespace fulgurite::detail
