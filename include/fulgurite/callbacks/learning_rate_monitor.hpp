// SPDX-License-Identifier: MIT
// A callback that gives learning rates to the loggers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/logging/logger.hpp>
#include <fulgurite/policies/callback.hpp>

namespace fulgurite {

/// When `LearningRateMonitor` writes.
enum class MonitorAt {
  step,         ///< in batches that loggers get (fg::LogEvery), before the batch's own step
  epoch_start,  ///< when an epoch starts
};

/// What it writes.
enum class Monitored {
  rate,
  rate_and_momentum,  ///< momentum is beta1 in the Adam family
};

/// Gives the learning rate of every optimizer to the loggers, as a row of its own, and to the metrics: `lr-SGD`,
/// `lr-SGD-1` for the second of a kind, `lr-SGD/pg1`, `lr-SGD/pg2` for parameter groups, `lr-SGD-momentum`.
/// Lightning's LearningRateMonitor.
struct LearningRateMonitor {
  using slot = slots::Callback;

  MonitorAt at = MonitorAt::step;    ///< when it writes
  Monitored what = Monitored::rate;  ///< what it writes

  std::int64_t written = -1;  ///< state: not to be set. The x axis of its last row in a batch

  void on_train_epoch_start(auto& step) {
    static_assert(std::remove_cvref_t<decltype(step)>::has_logger,
                  "fg::LearningRateMonitor writes to loggers, and the trainer has none: add one, "
                  "fg::CsvLogger{} for example. "
                  "See docs/errors/learning-rate-monitor.md");
    if (at == MonitorAt::epoch_start) write(step);
  }

  void on_train_batch_start(const auto& /*batch*/, auto& step) {
    if (at != MonitorAt::step || !step.logging_due() || written == step.log_step()) return;
    written = step.log_step();  // once in a window of accumulated batches
    write(step);
  }

  void on_save_checkpoint(auto& checkpoint) { checkpoint("written", written); }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("written", written); }

 private:
  using Rates = std::vector<std::pair<std::string, double>>;

  void write(auto& step) const {
    Rates rates;
    std::map<std::string, int> kinds;
    const auto add = [&](const auto& optimizer) {
      if constexpr (requires { optimizer.lr(); }) {
        const std::string kind = "lr-" + optimizer.name();
        const int before = kinds[kind]++;
        add_groups(before == 0 ? kind : kind + "-" + std::to_string(before), optimizer, rates);
      }
    };
    auto optimizers = step.optimizers();
    if constexpr (requires { std::tuple_size<decltype(optimizers)>::value; }) {
      std::apply([&](const auto&... optimizer) { (add(optimizer), ...); }, optimizers);
    } else {
      add(optimizers);
    }

    std::vector<MetricValue> row;
    for (const auto& [name, value] : rates) row.push_back({name, value});
    if (!row.empty()) step.write_row(row);
  }

  void add_groups(const std::string& optimizer_name, const auto& optimizer, Rates& rates) const {
    for (std::int64_t group = 0; group < optimizer.group_count(); ++group) {
      const std::string name =
          optimizer.group_count() == 1 ? optimizer_name : optimizer_name + "/pg" + std::to_string(group + 1);
      rates.emplace_back(name, optimizer.lr(group));
      if constexpr (requires { optimizer.momentum(group); }) {
        if (what == Monitored::rate_and_momentum)
          rates.emplace_back(name + "-momentum", optimizer.momentum(group));
      }
    }
  }
};

}  // namespace fulgurite
