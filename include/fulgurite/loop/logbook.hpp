// SPDX-License-Identifier: MIT
// What loggers are told, and when.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <fulgurite/hooks/logging.hpp>
#include <fulgurite/logging/log_flags.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/logging/metric.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/logging/notice.hpp>
#include <fulgurite/policies/limits.hpp>

namespace fulgurite::detail {

/// Turns metrics into rows. `steps` are batches that stepped the optimizers, however many optimizers there
/// are.
class Logbook {
 public:
  void set_interval(LogEvery interval) { interval_ = interval; }

  /// Says before a fit that epochs of so many batches end before loggers get what one of them logs. (Lightning's warning.)
  template <class Engine>
  void mention_short_epochs(const Engine& engine, std::int64_t batches) const {
    if (batches == 0) return;
    const std::int64_t window = std::max<std::int64_t>(engine.policies().accumulation().window(engine.progress().epoch), 1);
    const std::int64_t steps = (batches - 1) / window + 1;
    if (steps >= interval_.steps) return;
    const std::string count = std::to_string(steps);
    notice("fulgurite: an epoch has at most " + count + (steps == 1 ? " batch that steps" : " batches that step") +
           " the optimizers, fewer than fg::LogEvery{" + std::to_string(interval_.steps) +
           "}: there are epochs in which loggers get no batch's values. For some in each, give the trainer fg::LogEvery{" + count +
           "} or less");
  }

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
