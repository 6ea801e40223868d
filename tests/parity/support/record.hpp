// SPDX-License-Identifier: MIT
// What the golden traces' model and its trainer's parts write down while they train.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/checkpoint/training.hpp>
#include <fulgurite/data/example.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/loop/progress.hpp>
#include <fulgurite/policies/callback.hpp>

#include "any_optimizer.hpp"

namespace parity::golden {

using Row = std::vector<std::optional<double>>;  // nothing: the trace's null

/// Everything that a trace has, as our run had it.
struct Record {
  const fg::Progress* progress = nullptr;
  std::int64_t batch = 0;  // that was trained last
  std::vector<Row> training_steps, training_step_lr, optimizer_steps, batch_end, scheduler_steps, validation;
  std::vector<std::pair<Row, std::map<std::string, double>>> epoch_end;
  std::map<std::string, double> metrics;                                       // at the end
  std::map<std::pair<std::int64_t, std::int64_t>, double>
      outputs;  // of an epoch's batch, the loss that on_train_batch_end gets
  std::vector<std::pair<std::int64_t, std::map<std::string, double>>> logged;  // rows that the logger got
  std::vector<std::map<std::string, double>> gradient_norms;  // at each step, if the case asks for them
  std::function<Row()> loss_scale;  // the scale and its growth tracker, if there is one
  std::vector<Row> scaler;
  std::vector<std::string> events;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> batch_starts, batch_ends;  // indices of events

  void event(std::string name) { events.push_back(std::move(name)); }

  static double as_double(std::int64_t value) { return static_cast<double>(value); }

  template <class Optimizer>
  static void add_lrs(Row& row, const Optimizer& optimizer) {
    for (std::int64_t group = 0; group < optimizer.group_count(); ++group) row.push_back(optimizer.lr(group));
  }

  void schedule(std::size_t index, std::optional<double> metric, double lr) {
    scheduler_steps.push_back({as_double(static_cast<std::int64_t>(index)), as_double(progress->epoch),
                               as_double(batch), as_double(progress->global_step), metric, lr});
    event("sched" + std::to_string(index) + ".step");
  }
};

/// Writes down when each hook of a callback comes, and as a logger what it is given.
struct Witness {
  using slot = fg::slots::Callback;
  Record* record = nullptr;
  std::filesystem::path checkpoint{};                         // where it saves; empty: nowhere
  std::optional<std::int64_t> checkpoint_every{};             // steps; else at each epoch's end

  void log_metrics(const fg::MetricsRow& row) {
    std::map<std::string, double> values{{"epoch", Record::as_double(row.epoch)}};
    for (const auto& [name, value] : row.values) values[std::string(name)] = value;
    record->logged.emplace_back(row.step, std::move(values));
  }
  void setup() { record->event("cb.setup"); }
  void on_fit_start(auto&) { record->event("cb.on_fit_start"); }
  void on_train_start(auto&) { record->event("cb.on_train_start"); }
  void on_train_epoch_start(auto&) { record->event("cb.on_train_epoch_start"); }
  void on_train_batch_start(const fg::Example&, auto& step) {
    record->batch_starts[{step.epoch(), step.batch_index()}] = record->events.size();
    record->event("cb.on_train_batch_start");
  }
  void on_before_zero_grad(auto&, auto&) { record->event("cb.on_before_zero_grad"); }
  void on_before_backward(const auto&, auto&) { record->event("cb.on_before_backward"); }
  void on_after_backward(auto&) { record->event("cb.on_after_backward"); }
  void on_before_optimizer_step(auto&, auto&) { record->event("cb.on_before_optimizer_step"); }
  void on_train_batch_end(const auto& result, const fg::Example&, auto& step) {
    record->event("cb.on_train_batch_end");
    const bool due = checkpoint_every && result.stepped && step.global_step() % *checkpoint_every == 0;
    if (!checkpoint.empty() && due) fg::save_checkpoint(step, checkpoint);
  }
  void on_validation_start(auto&) { record->event("cb.on_validation_start"); }
  void on_validation_epoch_start(auto&) { record->event("cb.on_validation_epoch_start"); }
  void on_validation_epoch_end(auto&) { record->event("cb.on_validation_epoch_end"); }
  void on_validation_end(auto&) { record->event("cb.on_validation_end"); }
  void on_train_epoch_end(auto& step) {
    record->event("cb.on_train_epoch_end");
    if (!checkpoint.empty() && !checkpoint_every) fg::save_checkpoint(step, checkpoint);
  }
  void on_save_checkpoint(auto&) { record->event("cb.on_save_checkpoint"); }
  void on_load_checkpoint(auto&) {}
  void on_train_end(auto&) { record->event("cb.on_train_end"); }
  void on_fit_end(auto&) { record->event("cb.on_fit_end"); }
  void teardown() { record->event("cb.teardown"); }
};

}  // namespace parity::golden
