// SPDX-License-Identifier: MIT
// The schedules of a sequence or chain, under way.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/schedulers/running_schedule.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>
#include <fulgurite/schedulers/scheduler.hpp>

namespace fulgurite::detail {

/// None of them follows a metric, which nobody would hand to it.
template <class... Schedules>
inline constexpr bool parts_work = ((Scheduler<Schedules> && !MetricScheduler<Schedules>) && ...);

template <class... Schedules>
class Parts {
 public:
  explicit Parts(const std::tuple<Schedules...>& schedules)
      : parts_(std::apply([](const auto&... part) { return std::tuple<RunningSchedule<Schedules>...>(part...); }, schedules)) {}

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

  void save(ScheduleState& saved) const {
    std::size_t at = 0;
    const auto save_one = [&](const auto& part) { saved.nest(prefix(at++), part.state()); };
    std::apply([&](const auto&... part) { (save_one(part), ...); }, parts_);
  }
  /// Loads all or, if one of them throws, none.
  void load(const ScheduleState& saved) {
    ScheduleState before;
    save(before);
    try {
      load_each(saved);
    } catch (...) {
      load_each(before);
      throw;
    }
  }

 private:
  void load_each(const ScheduleState& saved) {
    std::size_t at = 0;
    each([&](auto& part) { part.load_state(saved.part(prefix(at++))); });
  }

  static std::string prefix(std::size_t at) { return "_schedulers." + std::to_string(at) + "."; }

  std::tuple<RunningSchedule<Schedules>...> parts_;
};

}  // namespace fulgurite::detail
