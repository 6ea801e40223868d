// SPDX-License-Identifier: MIT
// What loggers are told, and when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fulgurite/hooks/logging.hpp>
#include <fulgurite/logging/log_flags.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/logging/metric.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/limits.hpp>

namespace fulgurite::detail {

/// Turns metrics into rows. `steps` are batches that stepped the optimizers, however many optimizers there
/// are.
class Logbook {
 public:
  void set_interval(LogEvery interval) { interval_ = interval; }

  /// Whether loggers get what batch number `steps` (from 1) of those that step logs.
  bool due(std::int64_t steps) const { return steps % interval_.steps == 0; }

  /// After a batch of training: what it logged on_step, if it stepped and is due.
  template <class Engine, class Step>
  void after_batch(Engine& engine, const Step& step) {
    if (engine.logged_steps() == step.log_step() || !due(engine.logged_steps())) return;
    row_.clear();
    for (const Metric& metric : engine.metrics().all()) {
      const bool here = metric.stage == Stage::training && metric.call > step.log_place().calls_before;
      const bool in_this_row = metric.flags.has(on_step) && !metric.flags.has(in_own_row);
      if (here && in_this_row) row_.push_back({metric.step_name, metric.last});
    }
    write(engine);
  }

  /// After an epoch of one stage: what it logged on_epoch.
  template <class Engine>
  void after_epoch(Engine& engine, Stage stage) {
    row_.clear();
    for (const Metric& metric : engine.metrics().all()) {
      const bool here = metric.stage == stage && metric.in_epoch();
      if (here && metric.flags.has(on_epoch)) row_.push_back({metric.epoch_name, metric.epoch_value()});
    }
    write(engine);
  }

 private:
  template <class Engine>
  void write(Engine& engine) {
    if (row_.empty()) return;
    const std::int64_t step = std::max<std::int64_t>(engine.logged_steps() - 1, 0);
    engine.template tell_loggers<hooks::log_metrics_hook>(MetricsRow{step, engine.progress().epoch, row_});
  }

  LogEvery interval_;
  std::vector<MetricValue> row_;
};

}  // namespace fulgurite::detail
