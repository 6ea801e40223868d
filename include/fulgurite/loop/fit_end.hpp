// SPDX-License-Identifier: MIT
// When a fit ends: at a limit, or on request. A request comes from a hook (`step.stop()`) and stays set, or from the clock,
// which is asked each time; it is obeyed as soon as `MinEpochs` and `MinSteps` are reached.
#pragma once

#include <fulgurite/policies/limits.hpp>
#include "fit_clock.hpp"
#include "progress.hpp"

namespace fulgurite::detail {

class FitEnd {
 public:
  FitEnd(const Limits& limits, const Progress& progress, const FitClock& clock, const bool& stop_requested)
      : limits_(&limits), progress_(&progress), clock_(&clock), stop_requested_(&stop_requested) {}

  /// There is a request to stop, and nothing keeps it waiting.
  bool stops() const {
    return (*stop_requested_ || time_is_over()) && progress_->epoch >= limits_->min_epochs &&
           progress_->global_step >= limits_->min_steps;
  }

  /// The batch that was trained last was the fit's last.
  bool after_batch() const {
    return (limits_->max_steps && progress_->global_step >= *limits_->max_steps) || stops();
  }

  /// No further epoch begins.
  bool after_epoch() const {
    const auto epochs = limits_->epochs();
    return after_batch() || (epochs && progress_->epoch >= *epochs);
  }

 private:
  bool time_is_over() const { return limits_->max_time && clock_->elapsed() >= *limits_->max_time; }

  const Limits* limits_;
  const Progress* progress_;
  const FitClock* clock_;
  const bool* stop_requested_;
};

}  // namespace fulgurite::detail
