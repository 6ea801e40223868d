// SPDX-License-Identifier: MIT
// How often a fit will advance a schedule, and what is to be said if the schedule is made for another number of steps.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <limits>
#include <numeric>
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
  std::int64_t batches;                                  ///< of an epoch
  std::optional<std::int64_t> steps = std::nullopt;      ///< optimizer steps that are left; nothing: no limit
};

/// Epochs and, of an interval of the program's own, steps that are walked to find out how often a schedule advances.
inline constexpr std::int64_t most_planned = 1'000'000;

/// The steps that the first ones of an epoch are, of windows of `size` batches.
struct PlannedSteps {
  std::int64_t epoch;
  std::int64_t batches;  ///< of the epoch
  std::int64_t size;     ///< batches per step; the last one may have less
  std::int64_t count;
};

/// After how many of these steps a schedule advances. `walked`: steps that have been walked so far. Nothing: too many.
template <class Interval>
std::optional<std::int64_t> planned_advances(const PlannedSteps& steps, const Interval& interval, std::int64_t& walked) {
  if constexpr (std::same_as<Interval, EveryEpoch>) {
    return 0;
  } else if constexpr (std::same_as<Interval, EveryStep>) {
    return steps.count / interval.frequency;
  } else if constexpr (std::same_as<Interval, EveryBatch>) {
    const std::int64_t full = std::min(steps.count, steps.batches / steps.size);
    const std::int64_t every = interval.frequency / std::gcd(interval.frequency, steps.size);
    return full / every + (steps.count > full && steps.batches % interval.frequency == 0 ? 1 : 0);
  } else {
    if (steps.count > most_planned - walked) return std::nullopt;
    walked += steps.count;
    std::int64_t sum = 0;
    for (std::int64_t step = 1; step <= steps.count; ++step) {
      if (interval.due_after_step(SchedulePoint{steps.epoch, std::min(step * steps.size, steps.batches), step})) ++sum;
    }
    return sum;
  }
}

/// Due after the same steps of each epoch. (An interval of the program's own may depend on the epoch.)
template <class Interval>
concept SameInEachEpoch =
    std::same_as<Interval, EveryStep> || std::same_as<Interval, EveryBatch> || std::same_as<Interval, EveryEpoch>;

/// How often a schedule advances in the fit's epochs. `window(epoch)`: batches per optimizer step. Nothing if that would
/// take long to find out.
template <class Window, class Interval>
std::optional<std::int64_t> planned_advances(const FitPlan& plan, const Window& window, const Interval& interval) {
  std::int64_t advances = 0, walked = 0;
  std::int64_t left = plan.steps.value_or(std::numeric_limits<std::int64_t>::max());
  std::int64_t known_window = 0, known_advances = 0;
  const std::int64_t end = plan.end_epoch.value_or(std::numeric_limits<std::int64_t>::max());
  for (std::int64_t epoch = plan.first_epoch; epoch < end; ++epoch) {
    if (epoch - plan.first_epoch == most_planned) return std::nullopt;
    const std::int64_t size = std::max<std::int64_t>(window(epoch), 1);
    const std::int64_t steps = (plan.batches - 1) / size + 1;
    if (!SameInEachEpoch<Interval> || left < steps || size != known_window) {
      const auto counted = planned_advances({epoch, plan.batches, size, std::min(left, steps)}, interval, walked);
      if (!counted) return std::nullopt;
      if (left < steps) return advances + *counted;
      known_window = size;
      known_advances = *counted;
    }
    advances += known_advances + (interval.due_after_epoch(SchedulePoint{epoch, plan.batches, steps}) ? 1 : 0);
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
  if (!by_epoch && !Schedule::throws_beyond_length) return {};
  std::ostringstream text;
  text << "fulgurite: " << schedule << " has " << length << " steps, and this fit advances it " << total << " times"
       << (by_epoch ? ", once per epoch at most" : "") << ": ";
  if (!is_short) {
    text << "it throws std::out_of_range after " << length
         << ". Give it the steps of the whole training, or end the fit before";
  } else if (by_epoch) {
    text << "it does not come to its end. If optimizer steps are meant, attach it by .lr_scheduler(schedule, fg::EveryStep{})";
  } else {
    text << "it does not come to its end. Give it the steps of the whole training, or train longer";
  }
  return text.str();
}

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
    if (own.steps) own.steps = *own.steps / optimizers + (*own.steps % optimizers != 0 ? 1 : 0);
    const auto window = [&](std::int64_t epoch) { return engine.policies().accumulation().window(epoch); };
    engine.for_each_optimizer([&](auto index) {
      for_each_schedule<false>(engine.running(index), [&](auto& attached) {
        if constexpr (HasLength<std::remove_cvref_t<decltype(attached.schedule())>>) {
          const auto& interval = attached.interval_or(engine.policies().scheduler_interval());
          constexpr bool by_epoch = std::same_as<std::remove_cvref_t<decltype(interval)>, EveryEpoch>;
          const std::optional<std::int64_t> advances = planned_advances(own, window, interval);
          if (!advances) return;
          const std::string text = length_to_mention(attached.schedule(), attached.steps() + *advances, by_epoch);
          if (!text.empty()) notice(text);
        }
      });
    });
  }
}

}  // namespace fulgurite::detail
