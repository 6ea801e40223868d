// SPDX-License-Identifier: MIT
// What configure_optimizers returns for one optimizer: the optimizer itself, the schedules that drive it, and what it
// wants otherwise than the trainer.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/policies/limits.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include "attached_schedule.hpp"

namespace fulgurite {

namespace detail {

template <class Interval>
concept IntervalOrTrainers = std::is_same_v<Interval, TrainerInterval> || SchedulerIntervalPolicy<Interval>;

}  // namespace detail

/// The clipping of an optimizer that leaves it to the trainer.
struct TrainerClipping {};

/// An optimizer that takes part in every batch.
struct EveryBatchIsMine {};

/// An optimizer that takes turns with the others: so many batches in a row are its own.
struct Turn {
  std::int64_t batches;
};

/// An optimizer with its schedules. Made by `fg::optimizer(...)`.
template <Optimizer O, class Share, class Clipping, class... Attached>
class ConfiguredOptimizer {
 public:
  using optimizer_type = O;
  static constexpr std::size_t schedule_count = sizeof...(Attached);
  static constexpr bool follows_metrics = (Attached::follows_metric || ...);
  static constexpr bool has_intervals = (Attached::has_interval || ...);
  static constexpr bool takes_turns = std::is_same_v<Share, Turn>;
  static constexpr bool has_clipping = !std::is_same_v<Clipping, TrainerClipping>;

  ConfiguredOptimizer(O optimizer, Share share, Clipping clipping, boost::hana::tuple<Attached...> schedules)
      : optimizer_(std::move(optimizer)), share_(share), clipping_(std::move(clipping)), schedules_(std::move(schedules)) {}

  /// Adds a schedule that advances when the trainer's interval policy says.
  template <class Schedule>
  auto lr_scheduler(Schedule schedule) && {
    return std::move(*this).lr_scheduler(std::move(schedule), TrainerInterval{});
  }

  /// Adds a schedule with an interval of its own: `.lr_scheduler(fg::OneCycleLR{...}, fg::EveryStep{})`. Several schedules act in
  /// the order in which they were added, each on what the one before it wrote.
  template <class Schedule, class Interval>
  auto lr_scheduler(Schedule schedule, Interval interval) && {
    static_assert(HasLearningRate<O>,
                  "a schedule needs an optimizer with group_count(), lr(group) and set_lr(group, lr): this one has no "
                  "learning rate to drive. See docs/errors/schedule-without-rate.md");
    static_assert(Scheduler<Schedule>,
                  "fg::optimizer(...).lr_scheduler(schedule) was given something that is no schedule: write "
                  ".lr_scheduler(fg::StepLR{.step_size = 30}). See docs/errors/lr-scheduler.md");
    static_assert(!Scheduler<Schedule> || detail::IntervalOrTrainers<Interval>,
                  "fg::optimizer(...).lr_scheduler(schedule, interval) was given something that is no interval: write "
                  "fg::EveryStep{}, fg::EveryBatch{} or fg::EveryEpoch{}. See docs/errors/lr-scheduler.md");
    if constexpr (Scheduler<Schedule> && detail::IntervalOrTrainers<Interval>) {
      return boost::hana::unpack(std::move(schedules_), [&](auto&&... attached) {
        using Added = AttachedSchedule<Schedule, Interval>;
        return ConfiguredOptimizer<O, Share, Clipping, Attached..., Added>(
            std::move(optimizer_), share_, std::move(clipping_),
            boost::hana::tuple<Attached..., Added>{std::move(attached)..., Added{std::move(schedule), interval}});
      });
    } else {
      return std::move(*this);
    }
  }

  /// Clips this optimizer's gradients by a policy of its own, instead of the trainer's: `.clip(fg::ClipNorm{.max = 0.5})`,
  /// `.clip(fg::NoClipping{})`. Throws std::invalid_argument for values that make no sense.
  template <class Policy>
  auto clip(Policy policy) && {
    detail::require_sensible(policy);
    return ConfiguredOptimizer<O, Share, Policy, Attached...>(std::move(optimizer_), share_, std::move(policy),
                                                              std::move(schedules_));
  }

  /// One of several optimizers in automatic optimization takes turns with the others: `.frequency(fg::Batches{5})` trains on
  /// five batches in a row, then it is the next one's turn. Every epoch begins with the first optimizer.
  /// Throws std::invalid_argument for less than one batch.
  auto frequency(Batches batches) && {
    if (batches.count < 1) {
      throw std::invalid_argument("fulgurite: frequency(fg::Batches{" + std::to_string(batches.count) +
                                  "}): the turn of an optimizer is 1 batch or more");
    }
    return ConfiguredOptimizer<O, Turn, Clipping, Attached...>(std::move(optimizer_), Turn{batches.count},
                                                               std::move(clipping_), std::move(schedules_));
  }

  O& optimizer() { return optimizer_; }
  const O& optimizer() const { return optimizer_; }
  auto& schedules() { return schedules_; }
  const Share& share() const { return share_; }

  /// Its own clipping policy, else the trainer's.
  template <class Policy>
  constexpr const auto& clipping_or(const Policy& trainers) const {
    if constexpr (has_clipping) {
      return clipping_;
    } else {
      return trainers;
    }
  }

  /// Sets every schedule to its step 0. All start from the rates that the optimizer was made with.
  void attach_schedules() {
    if constexpr (schedule_count > 0) {
      std::vector<double> initial_lrs;
      boost::hana::for_each(schedules_, [&](auto& schedule) { schedule.attach(optimizer_, initial_lrs); });
    }
  }

 private:
  O optimizer_;
  [[no_unique_address]] Share share_;
  [[no_unique_address]] Clipping clipping_;
  boost::hana::tuple<Attached...> schedules_;
};

namespace detail {

/// What fg::optimizer(...) makes of something that is none: it swallows what is added to it, so that there is one error.
struct NoOptimizer {
  template <class... Anything>
  NoOptimizer lr_scheduler(Anything&&...) && {
    return {};
  }
  template <class Anything>
  NoOptimizer clip(Anything&&) && {
    return {};
  }
  NoOptimizer frequency(Batches) && { return {}; }
};

}  // namespace detail

/// Starts a configuration: `return fg::optimizer(fg::AdamW(parameters(), {.lr = 3e-3})).lr_scheduler(schedule, interval);`.
/// Any `torch::optim::Optimizer` is taken too.
template <class O>
auto optimizer(O given) {
  using Adapted = adapted_optimizer<O>;
  static_assert(
      Optimizer<Adapted>,
      "fg::optimizer(...) was given something that is no optimizer: give it fg::AdamW(parameters(), {.lr = 1e-3}), "
      "or another that has step() and zero_grad(). See docs/errors/configure-optimizers-result.md");
  if constexpr (Optimizer<Adapted>) {
    return ConfiguredOptimizer<Adapted, EveryBatchIsMine, TrainerClipping>(Adapted(std::move(given)), {}, {},
                                                                           boost::hana::tuple<>{});
  } else {
    return detail::NoOptimizer{};
  }
}

namespace detail {

template <class T>
inline constexpr bool is_configured = false;
template <class O, class Share, class Clipping, class... Attached>
inline constexpr bool is_configured<ConfiguredOptimizer<O, Share, Clipping, Attached...>> = true;

/// What configure_optimizers or fg::optimizers was given for one optimizer, as a configuration.
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
