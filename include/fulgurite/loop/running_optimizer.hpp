// SPDX-License-Identifier: MIT
// An optimizer under way in a training: its configuration, its accumulation window and its own counts.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <cstdint>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include "configured_optimizers.hpp"
#include "optimizer_index.hpp"
#include "window.hpp"

namespace fulgurite::detail {

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

  /// Steps that it made, in all and in this epoch.
  std::int64_t step_count() const { return step_count_; }
  std::int64_t steps_in_epoch() const { return step_count_ - steps_before_epoch_; }
  FULGURITE_INLINE void count_step() { ++step_count_; }
  void begin_epoch() { steps_before_epoch_ = step_count_; }

  /// It has stepped, and its schedules that follow a metric have not been asked since: for the first who asks.
  void note_step() { metric_schedules_due_ = true; }
  bool take_note_of_step() { return std::exchange(metric_schedules_due_, false); }

 private:
  Configured configured_;
  Window window_;
  std::int64_t step_count_ = 0;
  std::int64_t steps_before_epoch_ = 0;
  bool metric_schedules_due_ = false;
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
