// SPDX-License-Identifier: MIT
// A callback that asks to stop when a metric no longer gets better.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string_view>

#include <fulgurite/detail/fixed_string.hpp>
#include <fulgurite/detail/print.hpp>
#include <fulgurite/policies/callback.hpp>
#include <fulgurite/schedulers/reduce_lr_on_plateau.hpp>

namespace fulgurite {

/// Why an `EarlyStopping` asked to stop.
enum class StopReason {
  none,        ///< it did not
  not_finite,  ///< the metric was NaN or infinite
  reached,     ///< the metric was better than `stopping_threshold`
  diverged,    ///< the metric was worse than `divergence_threshold`
  patience,    ///< the metric has not become better for `patience` values
};

inline std::ostream& operator<<(std::ostream& out, StopReason reason) {
  constexpr const char* names[] = {"none", "not_finite", "reached", "diverged", "patience"};
  return out << names[static_cast<int>(reason)];
}

/// Asks to stop (`step.stop()`) when a metric has not become better for `patience` values. The metric's name
/// is in the type: `EarlyStopping<"val_loss">{.patience = 5}`. A value counts once, when it is new: at the
/// end of each epoch, or where `ValidateEvery` has validations at other times, after each of them.
template <detail::FixedString Metric = "">
struct EarlyStopping {
  static_assert(!Metric.empty(),
                "fg::EarlyStopping needs the name of the metric that it follows: write "
                "fg::EarlyStopping<\"val_loss\">{...}. "
                "See docs/errors/early-stopping-without-metric.md");

  using slot = slots::Callback;
  static constexpr bool follows_metrics = true;

  MetricMode mode = MetricMode::min;  ///< whether a smaller or a greater value is better
  std::int64_t patience = 3;          ///< values without getting better after which it stops
  double min_delta = 0.0;             ///< by how much better counts, 0 or more
  bool check_finite = true;           ///< stop at NaN and infinity
  std::optional<double> stopping_threshold = std::nullopt;    ///< stop at a better value
  std::optional<double> divergence_threshold = std::nullopt;  ///< stop at a worse value
  bool strict = true;                                         ///< a metric that nobody logged is an error

  std::int64_t wait_count = 0;                      ///< state, as the next ones: values since the best
  std::optional<double> last_score = std::nullopt;  ///< last value
  std::optional<double> best_score = std::nullopt;  ///< best value so far
  std::optional<std::int64_t> stopped_epoch = std::nullopt;  ///< epoch in which it asked to stop
  StopReason reason = StopReason::none;                      ///< why it did
  std::int64_t seen_call = 0;  ///< the call of step.log that gave the last value
  /// Where it looks in the fit that runs; outside of one at epoch ends.
  enum class Looks { at_epoch_end, at_validation_end, never } looks = Looks::at_epoch_end;

  static constexpr std::string_view monitor() { return Metric.view(); }

  constexpr const char* problem() const {
    if (patience < 0) return "EarlyStopping.patience must be 0 or more";
    return min_delta >= 0.0 ? nullptr : "EarlyStopping.min_delta must be 0 or more";
  }

  void on_fit_start(auto& /*run*/) { looks = Looks::at_epoch_end; }  // an exception may have ended the fit before
  void on_train_start(auto& run) {
    looks = run.is_rehearsal()               ? Looks::never
            : run.metrics_come_with_epochs() ? Looks::at_epoch_end
                                             : Looks::at_validation_end;
  }

  void on_train_epoch_end(auto& step) {
    if (looks == Looks::at_epoch_end || !step.in_fit()) look(step);
  }
  void on_validation_end(auto& step) {
    if (looks == Looks::at_validation_end && step.in_fit()) look(step);
  }

  void on_save_checkpoint(auto& checkpoint) {
    keep(checkpoint);
    checkpoint("last_score", last_score);
    checkpoint("seen_call", seen_call);
  }
  /// It asks to stop again if the last value is reason to by its options here: with more patience the training goes on.
  void on_load_checkpoint(auto& checkpoint) {
    keep(checkpoint);
    last_score.reset();
    seen_call = 0;
    if (checkpoint.has("last_score")) checkpoint("last_score", last_score);  // older files lack these
    if (checkpoint.has("seen_call")) checkpoint("seen_call", seen_call);
    if (verdict() != StopReason::none) checkpoint.stop();
  }

  /// Takes a new value in. True if it is reason to stop.
  bool judge(double value) {
    last_score = value;
    if (out_of_bounds(value) == StopReason::none) {
      if (improves(value)) {
        best_score = value;
        wait_count = 0;
      } else {
        ++wait_count;
      }
    }
    const StopReason why = verdict();
    if (why != StopReason::none) reason = why;
    return why != StopReason::none;
  }

  friend std::ostream& operator<<(std::ostream& out, const EarlyStopping& stopping) {
    out << "EarlyStopping<\"" << monitor();
    return detail::print(
        out, "\">", detail::field("mode", stopping.mode), detail::field("patience", stopping.patience),
        detail::field("min_delta", stopping.min_delta), detail::field("wait_count", stopping.wait_count));
  }

 private:
  void keep(auto& checkpoint) {
    checkpoint("wait_count", wait_count);
    checkpoint("best_score", best_score);
    checkpoint("stopped_epoch", stopped_epoch);
    checkpoint("reason", reason);
  }

  /// Why the last value is reason to stop.
  StopReason verdict() const {
    const StopReason alone = last_score ? out_of_bounds(*last_score) : StopReason::none;
    if (alone != StopReason::none) return alone;
    return wait_count > 0 && wait_count >= patience ? StopReason::patience : StopReason::none;
  }
  StopReason out_of_bounds(double value) const {
    if (check_finite && !std::isfinite(value)) return StopReason::not_finite;
    if (stopping_threshold && better(value, *stopping_threshold)) return StopReason::reached;
    if (divergence_threshold && better(*divergence_threshold, value)) return StopReason::diverged;
    return StopReason::none;
  }

  bool better(double a, double b) const { return mode == MetricMode::min ? a < b : a > b; }

  bool improves(double value) const {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    if (mode == MetricMode::min) return value + min_delta < best_score.value_or(infinity);
    return value - min_delta > best_score.value_or(-infinity);
  }

  void look(auto& step) {
    const auto* metric = step.metrics().find(monitor());
    if (!metric) {
      if (strict) throw std::invalid_argument(step.metrics().missing("EarlyStopping", monitor()));
      return;
    }
    if (seen_call == metric->call) return;
    seen_call = metric->call;
    if (judge(*step.metrics().value(monitor()))) {
      stopped_epoch = step.epoch();
      step.stop();
    }
  }
};

}  // namespace fulgurite
