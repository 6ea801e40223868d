// SPDX-License-Identifier: MIT
// An optimizer under way in a training: its configuration, its accumulation window and its own counts.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/detail/inline.hpp>
#include "configured_optimizers.hpp"
#include "optimizer_index.hpp"
#include "window.hpp"

namespace fulgurite::detail {

/// What is known of zero_grad() at a step that is made by hand.
enum class Zeroing {
  first_step,
  done,     ///< it was called since the step before
  missing,  ///< it was not
};

template <class Configured, std::size_t I>
class RunningOptimizer {
 public:
  using Index = OptimizerIndex<I>;

  explicit RunningOptimizer(Configured configured) : configured_(std::move(configured)) {}

  FULGURITE_INLINE Configured& configured() { return configured_; }
  const Configured& configured() const { return configured_; }
  FULGURITE_INLINE auto& optimizer() { return configured_.optimizer(); }
  const auto& optimizer() const { return configured_.optimizer(); }
  auto& schedules() { return configured_.schedules(); }

  /// Of batches that are accumulated; a window of one batch lives in the batch's step.
  FULGURITE_INLINE Window& window() { return window_; }
  const Window& window() const { return window_; }

  /// Steps that it made, in all and in this epoch.
  std::int64_t step_count() const { return step_count_; }
  std::int64_t steps_in_epoch() const { return step_count_ - steps_before_epoch_; }
  FULGURITE_INLINE void count_step() { ++step_count_; }
  void begin_epoch() { steps_before_epoch_ = step_count_; }

  /// It has stepped, and its schedules that follow a metric have not been asked since: for the first who asks.
  void note_step() { metric_schedules_due_ = true; }
  bool take_note_of_step() { return std::exchange(metric_schedules_due_, false); }

  /// In manual optimization it is looked at in the first two steps whether zero_grad() comes between.
  void note_zero_grad() { zeroed_ = true; }
  bool zeroing_looked_at() const { return looks_at_zeroing_ == 0; }
  Zeroing look_at_zeroing() {
    const bool zeroed = std::exchange(zeroed_, false);
    if (--looks_at_zeroing_ > 0) return Zeroing::first_step;
    return zeroed ? Zeroing::done : Zeroing::missing;
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive.same("class", optimizer_name(optimizer()), "make the trainer with the optimizer that it was saved with");
    archive("state", optimizer());
    archive("window", window_);
    archive("step_count", step_count_);
    archive("steps_before_epoch", steps_before_epoch_);
    archive("metric_schedules_due", metric_schedules_due_);
    archive.part("schedules", [&](auto& part) { schedules_state(part); });
  }

 private:
  template <class Archive>
  void schedules_state(Archive& archive) {
    archive.same("count", std::to_string(Configured::schedule_count),
                 "give the optimizer the schedules that it had when it was saved");
    if constexpr (Configured::schedule_count > 0) {
      std::size_t index = 0;
      boost::hana::for_each(schedules(), [&](auto& schedule) {
        const std::string number = std::to_string(index++);
        archive.same_class("class_" + number, schedule.schedule(),
                           "give the optimizer the schedules that it had when it was saved, in the same order");
        archive(number, schedule);
      });
    }
  }

  Configured configured_;
  Window window_;
  std::int64_t step_count_ = 0;
  std::int64_t steps_before_epoch_ = 0;
  bool metric_schedules_due_ = false;
  bool zeroed_ = false;
  int looks_at_zeroing_ = 2;  // left
};

template <class Configuration, class Indices = std::make_index_sequence<Configuration::count>>
struct running_optimizers_of;
template <class... Configured, std::size_t... I>
struct running_optimizers_of<ConfiguredOptimizers<Configured...>, std::index_sequence<I...>> {
  using type = boost::hana::tuple<RunningOptimizer<Configured, I>...>;

  static type make(ConfiguredOptimizers<Configured...> configuration) {
    return type{RunningOptimizer<Configured, I>(std::move(boost::hana::at_c<I>(configuration.all)))...};
  }
};

}  // namespace fulgurite::detail
