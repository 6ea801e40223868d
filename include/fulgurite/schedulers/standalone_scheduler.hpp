// SPDX-License-Identifier: MIT
// Schedules without a trainer: `auto schedule = fg::schedule(optimizer, fg::CosineAnnealingLR{.t_max = 100});`.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/concepts/optimizer.hpp>
#include "running_schedule.hpp"

namespace fulgurite {

/// How a schedule reaches the rates of an optimizer that it does not own: by reference if the optimizer shows them.
/// Specialised for foreign ones (`torch::optim::Optimizer` in optim/torch_optimizer_view.hpp).
template <class O>
struct lr_view {
  using type = O&;
};

/// A schedule on an optimizer, which it refers to and which must outlive it. Made by `fg::schedule(...)`.
template <Scheduler Schedule, class Rates>
class StandaloneScheduler {
 public:
  StandaloneScheduler(Rates rates, Schedule schedule) : rates_(rates), running_(std::move(schedule)) {
    std::vector<double> initial_lrs;
    running_.attach(rates_, initial_lrs);
  }

  /// One step on.
  void step()
    requires(!MetricScheduler<Schedule>)
  {
    running_.advance(rates_);
  }

  /// One step on with the metric's new value, for a schedule that follows one.
  void step(double metric)
    requires MetricScheduler<Schedule>
  {
    running_.advance(rates_, metric);
  }

  std::int64_t steps() const { return running_.steps(); }                               ///< how often it has advanced
  double last_lr(std::int64_t group = 0) const { return running_.last_lr(group); }      ///< after its last step
  const Schedule& schedule() const { return running_.schedule(); }

  /// What another run needs to go on. The optimizer's own rates are part of the optimizer's state, as in PyTorch.
  ScheduleState state() const { return running_.state(); }
  /// Throws std::invalid_argument if the state is another kind's, of another number of groups or of a schedule with other
  /// values, and changes nothing then.
  void load_state(const ScheduleState& saved) { running_.load_state(saved); }
  /// As load_state, but the schedule gets the values that it was saved with.
  void take_over(const ScheduleState& saved) { running_.take_over(saved); }

 private:
  Rates rates_;
  RunningSchedule<Schedule> running_;
};

/// Puts a schedule on an optimizer, ours or LibTorch's, and sets its first rates. For several on one optimizer use
/// `fg::ChainedScheduler`, so that all start from the same rates. Throws std::invalid_argument where a value makes no sense.
template <class O, Scheduler Schedule>
auto schedule(O& optimizer, Schedule value) {
  using Rates = typename lr_view<O>::type;
  static_assert(HasLearningRate<std::remove_reference_t<Rates>>,
                "a schedule needs an optimizer with group_count(), lr(group) and set_lr(group, lr): this one has no "
                "learning rate to drive. See docs/errors/schedule-without-rate.md");
  if constexpr (HasLearningRate<std::remove_reference_t<Rates>>) {
    return StandaloneScheduler<Schedule, Rates>(Rates(optimizer), std::move(value));
  }
}

}  // namespace fulgurite
