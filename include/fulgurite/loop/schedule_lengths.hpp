// SPDX-License-Identifier: MIT
// How often a fit will advance a schedule, and what is to be said if the schedule is made for another number of steps.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <type_traits>

#include <fulgurite/hooks/gradients.hpp>
#include <fulgurite/logging/notice.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include "schedule_steps.hpp"

namespace fulgurite::detail {

/// A schedule that comes to its end after `length()` steps, and may not be advanced further or may.
template <class Schedule>
concept HasLength = requires(const Schedule& schedule, std::ostream& out) {
  { schedule.length() } -> std::convertible_to<std::int64_t>;
  { Schedule::throws_beyond_length } -> std::convertible_to<bool>;
  out << schedule;
};

/// What is known of a fit when it begins.
struct FitPlan {
  std::int64_t first_epoch = 0;
  std::optional<std::int64_t> end_epoch = std::nullopt;  ///< nothing: no limit
  std::int64_t batches = 0;                              ///< of an epoch
  std::optional<std::int64_t> steps = std::nullopt;      ///< optimizer steps that are left; nothing: no limit
};

/// Calls of `due` that say yes in the fit's epochs. `window(epoch)`: batches per optimizer step.
template <class Window, class Interval>
std::int64_t planned_advances(const FitPlan& plan, const Window& window, const Interval& due) {
  constexpr std::int64_t most_epochs = 1'000'000;  // of a fit without a limit of epochs
  std::int64_t advances = 0;
  std::int64_t left = plan.steps.value_or(std::numeric_limits<std::int64_t>::max());
  std::int64_t known_window = 0, known_advances = 0;
  const std::int64_t end = plan.end_epoch.value_or(plan.first_epoch + most_epochs);
  for (std::int64_t epoch = plan.first_epoch; epoch < end && left > 0; ++epoch) {
    const std::int64_t size = std::max<std::int64_t>(window(epoch), 1);
    const std::int64_t steps = (plan.batches + size - 1) / size;
    const auto count = [&](std::int64_t first_steps) {
      std::int64_t sum = 0;
      for (std::int64_t step = 1; step <= first_steps; ++step) {
        if (due.due_after_step(SchedulePoint{epoch, std::min(step * size, plan.batches), step})) ++sum;
      }
      return sum;
    };
    if (left < steps) return advances + count(left);
    if (size != known_window) {
      known_window = size;
      known_advances = count(steps);
    }
    advances += known_advances + (due.due_after_epoch(SchedulePoint{epoch, plan.batches, steps}) ? 1 : 0);
    left -= steps;
  }
  return advances;
}

/// What is to be said of a schedule that will have advanced `total` times when the fit ends; empty if it fits.
template <class Schedule>
std::string length_to_mention(const Schedule& schedule, std::int64_t total, bool by_epoch) {
  const std::int64_t length = schedule.length();
  const bool is_short = total < length - 1;  // the last value is that of the step before the last
  if (!is_short && !(Schedule::throws_beyond_length && total > length)) return {};
  if (is_short && !by_epoch && !Schedule::throws_beyond_length) return {};
  std::ostringstream text;
  text << "fulgurite: " << schedule << " has " << length << " steps, and this fit advances it " << total << " times"
       << (by_epoch ? ", once per epoch at most" : "") << ": ";
  if (!is_short) {
    text << "it throws std::out_of_range after " << length << ". Give it the steps of the whole training, or end the fit before";
  } else if (by_epoch) {
    text << "it does not come to its end. If optimizer steps are meant, attach it by .with(schedule, fg::EveryStep{})";
  } else {
    text << "it does not come to its end. Give it the steps of the whole training, or train longer";
  }
  return text.str();
}

/// The interval of a schedule, its own or the trainer's.
template <class Attached, class Interval>
struct DueOf {
  const Attached& schedule;
  const Interval& trainers;

  bool due_after_step(const SchedulePoint& point) const { return schedule.due_after_step(trainers, point); }
  bool due_after_epoch(const SchedulePoint& point) const { return schedule.due_after_epoch(trainers, point); }
};
template <class Attached, class Interval>
DueOf(const Attached&, const Interval&) -> DueOf<Attached, Interval>;

/// Says of each schedule of which it is known when the fit begins that its length is not the fit's.
template <class Engine>
void mention_schedule_lengths(Engine& engine, const FitPlan& plan) {
  using Model = std::remove_cvref_t<decltype(engine.model())>;
  constexpr bool is_known = !Engine::manual && !Engine::Facts::take_turns && Engine::Facts::have_schedules &&
                            !hooks::present<hooks::lr_scheduler_step_hook, Model>;
  if constexpr (is_known) {
    if (engine.schedules_suspended() || (!plan.end_epoch && !plan.steps) || plan.batches == 0) return;
    FitPlan own = plan;
    constexpr auto optimizers = static_cast<std::int64_t>(Engine::optimizer_count);  // each makes its part of the steps
    if (own.steps) own.steps = (*own.steps + optimizers - 1) / optimizers;
    const auto window = [&](std::int64_t epoch) { return engine.policies().accumulation().window(epoch); };
    engine.for_each_optimizer([&](auto index) {
      for_each_schedule<false>(engine.running(index), [&](auto& attached) {
        if constexpr (HasLength<std::remove_cvref_t<decltype(attached.schedule())>>) {
          const DueOf due{attached, engine.policies().scheduler_interval()};
          const bool by_epoch = !due.due_after_step({0, plan.batches, 1}) && due.due_after_epoch({0, plan.batches, 1});
          const std::int64_t total = attached.steps() + planned_advances(own, window, due);
          if (const std::string text = length_to_mention(attached.schedule(), total, by_epoch); !text.empty()) notice(text);
        }
      });
    });
  }
}

}  // namespace fulgurite::detail
