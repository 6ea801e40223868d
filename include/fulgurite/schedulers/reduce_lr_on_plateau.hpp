// SPDX-License-Identifier: MIT
// Schedule: a drop when a metric stops getting better.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <ostream>
#include <string_view>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/fixed_string.hpp>
#include <fulgurite/detail/print.hpp>
#include "per_group.hpp"
#include "schedule_state.hpp"

namespace fulgurite {

/// Which values of a metric are the better ones.
enum class MetricMode { min, max };

inline std::ostream& operator<<(std::ostream& out, MetricMode mode) {
  return out << (mode == MetricMode::min ? "min" : "max");
}

/// What a threshold is measured against: a part of the best value, or a difference.
enum class ThresholdMode { relative, absolute };

inline std::ostream& operator<<(std::ostream& out, ThresholdMode mode) {
  return out << (mode == ThresholdMode::relative ? "relative" : "absolute");
}

/// What a plateau schedule has seen.
struct ReduceLROnPlateauState {
  double best = 0.0;                  ///< best value so far
  std::int64_t num_bad_epochs = 0;    ///< values since then that were no better
  std::int64_t cooldown_counter = 0;  ///< values that are still to be let pass
  bool lowers = false;                ///< the last value lowered the rate

  friend constexpr bool operator==(ReduceLROnPlateauState, ReduceLROnPlateauState) = default;
};

/// Multiplies the learning rate by `factor` when the metric has not become better for more than `patience` values. The
/// metric's name is in the type: `ReduceLROnPlateau<"val_loss">{.factor = 0.5}`. torch.optim.lr_scheduler.ReduceLROnPlateau.
template <detail::FixedString Metric = "">
struct ReduceLROnPlateau {
  static_assert(!Metric.empty(),
                "fg::ReduceLROnPlateau needs the name of the metric that it follows: write fg::ReduceLROnPlateau<\"val_loss\">{...}. "
                "See docs/errors/plateau-without-metric.md");

  using State = ReduceLROnPlateauState;

  MetricMode mode = MetricMode::min;                       ///< whether a smaller or a greater value is better
  double factor = 0.1;                                     ///< factor of a drop, in [0, 1)
  std::int64_t patience = 10;                              ///< values without getting better that are borne, 0 or more
  double threshold = 1e-4;                                 ///< by how much better counts, 0 or more
  ThresholdMode threshold_mode = ThresholdMode::relative;  ///< what the threshold is measured against
  std::int64_t cooldown = 0;                               ///< values to let pass after a drop, 0 or more
  PerGroup min_lr = 0.0;                                   ///< smallest learning rate, 0 or more
  double eps = 1e-8;                                       ///< a drop that is not larger is left out, 0 or more
  bool strict = true;                                      ///< in a trainer: a metric that nobody logged is an error

  static constexpr std::string_view monitor() { return Metric.view(); }

  State start() const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    return {.best = mode == MetricMode::min ? infinity : -infinity};
  }

  /// Takes a new value in. NaN counts as no better.
  void advance(State& state, double metric) const {
    if (is_better(metric, state.best)) {
      state.best = metric;
      state.num_bad_epochs = 0;
    } else {
      ++state.num_bad_epochs;
    }
    if (state.cooldown_counter > 0) {
      --state.cooldown_counter;
      state.num_bad_epochs = 0;
    }
    state.lowers = state.num_bad_epochs > patience;
    if (state.lowers) {
      state.cooldown_counter = cooldown;
      state.num_bad_epochs = 0;
    }
  }

  /// The rate after the last value.
  double lr(const State& state, const RatePoint& point) const {
    if (!state.lowers) return point.current;
    const double lowered = std::max(point.current * factor, min_lr.at(point.group));
    return point.current - lowered > eps ? lowered : point.current;
  }

  void save(const State& state, ScheduleState& saved) const {
    saved.set("best", state.best);
    saved.set("num_bad_epochs", static_cast<double>(state.num_bad_epochs));
    saved.set("cooldown_counter", static_cast<double>(state.cooldown_counter));
  }
  void load(State& state, const ScheduleState& saved) const {
    state = {.best = saved.number("best"),
             .num_bad_epochs = static_cast<std::int64_t>(saved.number("num_bad_epochs")),
             .cooldown_counter = static_cast<std::int64_t>(saved.number("cooldown_counter"))};
  }

  void require_groups(std::int64_t count) const { min_lr.require_groups("ReduceLROnPlateau.min_lr", count); }

  const char* problem() const {
    if (!(factor >= 0.0 && factor < 1.0)) return "ReduceLROnPlateau.factor must be 0 or more and below 1";
    if (patience < 0 || cooldown < 0) return "ReduceLROnPlateau.patience and cooldown must be 0 or more";
    if (!(threshold >= 0.0 && eps >= 0.0)) return "ReduceLROnPlateau.threshold and eps must be 0 or more";
    if (!min_lr.all([](double lr) { return lr >= 0.0; })) return "ReduceLROnPlateau.min_lr must be 0 or more";
    return nullptr;
  }

  /// Calls f("ReduceLROnPlateau.mode", schedule.mode) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("ReduceLROnPlateau.mode", schedule.mode);
    f("ReduceLROnPlateau.factor", schedule.factor);
    f("ReduceLROnPlateau.patience", schedule.patience);
    f("ReduceLROnPlateau.threshold", schedule.threshold);
    f("ReduceLROnPlateau.threshold_mode", schedule.threshold_mode);
    f("ReduceLROnPlateau.cooldown", schedule.cooldown);
    f("ReduceLROnPlateau.min_lr", schedule.min_lr);
    f("ReduceLROnPlateau.eps", schedule.eps);
  }

  friend bool operator==(const ReduceLROnPlateau&, const ReduceLROnPlateau&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ReduceLROnPlateau& schedule) {
    out << "ReduceLROnPlateau<\"" << monitor();
    return detail::print(out, "\">", detail::field("mode", schedule.mode), detail::field("factor", schedule.factor),
                         detail::field("patience", schedule.patience), detail::field("threshold", schedule.threshold),
                         detail::field("threshold_mode", schedule.threshold_mode),
                         detail::field("cooldown", schedule.cooldown), detail::field("min_lr", schedule.min_lr),
                         detail::field("eps", schedule.eps));
  }

 private:
  bool is_better(double value, double best) const {
    const bool relative = threshold_mode == ThresholdMode::relative;
    if (mode == MetricMode::min) return value < (relative ? best * (1.0 - threshold) : best - threshold);
    return value > (relative ? best * (threshold + 1.0) : best + threshold);
  }
};

}  // namespace fulgurite
