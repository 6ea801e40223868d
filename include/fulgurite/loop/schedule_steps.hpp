// SPDX-License-Identifier: MIT
// When the engine advances which schedule: after a batch that stepped, after an epoch, and, for those that follow a
// metric, after the validation that may have logged it.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/unpack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks/gradients.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include "handles.hpp"
#include "optimizer_index.hpp"

namespace fulgurite::detail {

/// Which optimizers have stepped in a batch.
template <std::size_t Optimizers>
using StepsTaken = std::array<bool, Optimizers>;

/// Advances a schedule of the `I`-th optimizer, through the model's lr_scheduler_step if it has one.
template <class Engine, std::size_t I, class Schedule>
void advance(Engine& engine, OptimizerIndex<I> index, Schedule& schedule, std::optional<double> metric = std::nullopt) {
  if (engine.schedules_suspended()) return;
  SchedulerHandle handle(index, schedule, engine.running(index).optimizer(), std::as_const(engine.metrics()), metric);
  using Model = std::remove_cvref_t<decltype(engine.model())>;
  if constexpr (hooks::present<hooks::lr_scheduler_step_hook, Model>) {
    auto step = engine.edge(Stage::training);
    hooks::call<hooks::lr_scheduler_step_hook>(engine.model(), handle, step);
  } else {
    handle.step();
  }
}

/// Calls f for the schedules of an optimizer that follow a metric, or for those that don't.
template <bool FollowsMetric, class Running, class F>
FULGURITE_INLINE inline void for_each_schedule(Running& running, F&& f) {
  using Configured = std::remove_cvref_t<decltype(running.configured())>;
  if constexpr (Configured::schedule_count > 0) {
    boost::hana::for_each(running.schedules(), [&](auto& schedule) FULGURITE_INLINE {
      if constexpr (std::remove_cvref_t<decltype(schedule)>::follows_metric == FollowsMetric) f(schedule);
    });
  }
}

template <class Engine, std::size_t I>
SchedulePoint schedule_point(Engine& engine, OptimizerIndex<I> index, std::int64_t batches) {
  return {engine.progress().epoch, batches, engine.running(index).steps_in_epoch()};
}

/// After the updates of a batch: the schedules of the optimizers that stepped. `batches`: of this epoch so far.
template <class Engine>
FULGURITE_INLINE inline void advance_step_schedules(Engine& engine, const StepsTaken<Engine::optimizer_count>& taken,
                                                    std::int64_t batches) {
  engine.for_each_optimizer([&](auto index) FULGURITE_INLINE {
    if (!taken[index]) return;
    for_each_schedule<false>(engine.running(index), [&](auto& schedule) {
      const auto point = schedule_point(engine, index, batches);
      if (schedule.due_after_step(engine.policies().scheduler_interval(), point)) advance(engine, index, schedule);
    });
  });
}

/// At an epoch's end: the schedules of all optimizers.
template <class Engine>
void advance_epoch_schedules(Engine& engine, std::int64_t batches) {
  engine.for_each_optimizer([&](auto index) {
    for_each_schedule<false>(engine.running(index), [&](auto& schedule) {
      const auto point = schedule_point(engine, index, batches);
      if (schedule.due_after_epoch(engine.policies().scheduler_interval(), point)) advance(engine, index, schedule);
    });
  });
}

/// The same for schedules that follow a metric. One whose metric was not logged since it was last fed stays where it is.
template <class Engine>
void advance_metric_schedules_after_step(Engine& engine) {
  engine.for_each_optimizer([&](auto index) {
    auto& running = engine.running(index);
    if (!running.take_note_of_step()) return;
    for_each_schedule<true>(running, [&](auto& schedule) {
      const auto point = schedule_point(engine, index, engine.progress().batch);
      if (!schedule.due_after_step(engine.policies().scheduler_interval(), point)) return;
      schedule.feed(engine.metrics(), true, [&](const auto& metric) { advance(engine, index, schedule, metric); });
    });
  });
}

template <class Engine>
void advance_metric_schedules_after_epoch(Engine& engine) {
  engine.for_each_optimizer([&](auto index) {
    for_each_schedule<true>(engine.running(index), [&](auto& schedule) {
      const auto point = schedule_point(engine, index, engine.progress().batch);
      if (!schedule.due_after_epoch(engine.policies().scheduler_interval(), point)) return;
      schedule.feed(engine.metrics(), false, [&](const auto& metric) { advance(engine, index, schedule, metric); });
    });
  });
}

template <class Running>
auto handles_of(Running& running, const Metrics& metrics) {
  return boost::hana::unpack(running.schedules(), [&](auto&... schedule) {
    return std::make_tuple(SchedulerHandle(typename Running::Index{}, schedule, running.optimizer(), metrics)...);
  });
}

/// Handles of all schedules: one alone, or fg::SchedulerHandles.
template <class Engine>
auto scheduler_handles(Engine& engine) {
  auto handles = [&]<std::size_t... I>(std::index_sequence<I...>) {
    return std::tuple_cat(handles_of(engine.running(optimizer_index<I>), std::as_const(engine.metrics()))...);
  }(std::make_index_sequence<Engine::optimizer_count>{});
  constexpr std::size_t count = std::tuple_size_v<decltype(handles)>;
  static_assert(count > 0,
                "step.lr_schedulers() needs a schedule: give it to the optimizer by fg::optimizer(...).lr_scheduler(schedule). "
                "See docs/errors/no-schedule.md");
  if constexpr (count == 1) {
    return std::get<0>(handles);
  } else {
    return std::apply([](auto... handle) { return SchedulerHandles(handle...); }, handles);
  }
}

}  // namespace fulgurite::detail
