// SPDX-License-Identifier: MIT
// The model of the golden traces, and what it and its trainer's parts write down while they train.
#pragma once

#include <torch/nn/functional/loss.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/linear.h>

#include <boost/hana/tuple.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/callbacks/early_stopping.hpp>
#include <fulgurite/data/example.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/optim/gradient_norms.hpp>
#include <fulgurite/trainer.hpp>

#include "any_optimizer.hpp"
#include "any_schedule.hpp"
#include "json.hpp"

namespace parity::golden {

using Row = std::vector<std::optional<double>>;  // nothing: the trace's null

/// Everything that a trace has, as our run had it.
struct Record {
  const fg::Progress* progress = nullptr;
  std::int64_t batch = 0;  // that was trained last
  std::vector<Row> training_steps, training_step_lr, optimizer_steps, batch_end, scheduler_steps, validation;
  std::vector<std::pair<Row, std::map<std::string, double>>> epoch_end;
  std::map<std::string, double> metrics;  // at the end
  std::vector<std::pair<std::int64_t, std::map<std::string, double>>> logged;  // rows that the logger got
  std::vector<std::map<std::string, double>> gradient_norms;                   // at each step, if the case asks for them
  std::vector<std::string> events;
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> batch_starts, batch_ends;  // indices of events

  void event(std::string name) { events.push_back(std::move(name)); }

  static double as_double(std::int64_t value) { return static_cast<double>(value); }

  template <class Optimizer>
  static void add_lrs(Row& row, const Optimizer& optimizer) {
    for (std::int64_t group = 0; group < optimizer.group_count(); ++group) row.push_back(optimizer.lr(group));
  }

  void schedule(std::size_t index, std::optional<double> metric, double lr) {
    scheduler_steps.push_back({as_double(static_cast<std::int64_t>(index)), as_double(progress->epoch), as_double(batch),
                               as_double(progress->global_step), metric, lr});
    event("sched" + std::to_string(index) + ".step");
  }
};

/// Writes down when each hook of a callback comes, and as a logger what it is given.
struct Witness {
  using slot = fg::slots::Callback;
  Record* record = nullptr;

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
  void on_train_batch_end(const auto&, const fg::Example&, auto&) { record->event("cb.on_train_batch_end"); }
  void on_validation_start(auto&) { record->event("cb.on_validation_start"); }
  void on_validation_epoch_start(auto&) { record->event("cb.on_validation_epoch_start"); }
  void on_validation_epoch_end(auto&) { record->event("cb.on_validation_epoch_end"); }
  void on_validation_end(auto&) { record->event("cb.on_validation_end"); }
  void on_train_epoch_end(auto&) { record->event("cb.on_train_epoch_end"); }
  void on_train_end(auto&) { record->event("cb.on_train_end"); }
  void on_fit_end(auto&) { record->event("cb.on_fit_end"); }
  void teardown() { record->event("cb.teardown"); }
};

/// Early stopping, if the configuration asks for it: one type for all cases.
struct AnyEarlyStopping {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;

  explicit AnyEarlyStopping(const Json& options = {}) {
    if (options.is_null()) return;
    const Json monitor = options.at("monitor");
    if (monitor == "val_loss") on_validation = made<fg::EarlyStopping<"val_loss">>(options);
    if (monitor == "train_loss") on_training = made<fg::EarlyStopping<"train_loss">>(options);
    if (!on_validation && !on_training) throw std::runtime_error("early stopping on " + monitor.dump() + " is not known");
  }

  void on_train_start(auto& run) {
    each([&](auto& stopping) { stopping.on_train_start(run); });
  }
  void on_train_end(auto& run) {
    each([&](auto& stopping) { stopping.on_train_end(run); });
  }
  void on_train_epoch_end(auto& step) {
    each([&](auto& stopping) { stopping.on_train_epoch_end(step); });
  }
  void on_validation_end(auto& step) {
    each([&](auto& stopping) { stopping.on_validation_end(step); });
  }

 private:
  template <class Stopping>
  static Stopping made(const Json& given) {
    Arguments options(given, {"monitor"});
    Stopping stopping;
    if (options.get("mode", "min") == "max") stopping.mode = fg::MetricMode::max;
    stopping.patience = options.get("patience", stopping.patience);
    stopping.min_delta = std::abs(options.get("min_delta", stopping.min_delta));
    stopping.check_finite = options.get("check_finite", stopping.check_finite);
    stopping.strict = options.get("strict", stopping.strict);
    if (const Json* at = options.find("stopping_threshold")) stopping.stopping_threshold = number(*at);
    if (const Json* at = options.find("divergence_threshold")) stopping.divergence_threshold = number(*at);
    options.done("early stopping");
    return stopping;
  }

  template <class F>
  void each(F&& f) {
    if (on_validation) f(*on_validation);
    if (on_training) f(*on_training);
  }

  std::optional<fg::EarlyStopping<"val_loss">> on_validation;
  std::optional<fg::EarlyStopping<"train_loss">> on_training;
};

/// When a schedule advances, chosen when the program runs.
struct AnyInterval {
  bool step = false;
  std::int64_t frequency = 1;

  bool due_after_step(const fg::SchedulePoint& point) const {
    return step && fg::EveryBatch{frequency}.due_after_step(point);
  }
  bool due_after_epoch(const fg::SchedulePoint& point) const {
    return !step && fg::EveryEpoch{frequency}.due_after_epoch(point);
  }
  const char* problem() const { return fg::EveryEpoch{frequency}.problem(); }
};

/// A clipping policy chosen when the program runs.
struct AnyClip {
  using slot = fg::slots::Clipping;
  enum class Kind { none, norm, value } kind = Kind::none;
  double max = 1.0;

  void clip(auto& gradients) const {
    if (kind == Kind::norm) fg::ClipNorm{.max = max}.clip(gradients);
    if (kind == Kind::value) fg::ClipValue{.max = max}.clip(gradients);
  }
  friend std::ostream& operator<<(std::ostream& out, const AnyClip& clip) { return out << "AnyClip{" << clip.max << '}'; }
};

/// Initial values of the model, by name.
using Initial = Json;

/// l1, tanh, l2; the mean squared error. `Reevaluates`: the optimizer is LBFGS. `Skips`: training_step may return nothing.
/// `Schedules`: AnySchedule and AnyPlateau, in the order of the trace.
template <bool Reevaluates, bool Skips, class... Schedules>
struct Mlp : torch::nn::Module {
  Mlp(const Json& given, const Initial& initial, Record& writes_to)
      : config(given),
        program(given.value("program", "plain")),
        l1(register_module("l1", torch::nn::Linear(8, 16))),
        l2(register_module("l2", torch::nn::Linear(16, 4))),
        record(&writes_to) {
    to(torch::kDouble);
    torch::NoGradGuard no_grad;
    for (auto& parameter : named_parameters()) {
      parameter->copy_(torch::tensor(numbers(initial.at(parameter.key())), torch::kDouble).view(parameter->sizes()));
    }
    for (const Json& name : config.value("frozen", Json::array())) {
      named_parameters()[name.get<std::string>()].set_requires_grad(false);
    }
  }

  torch::Tensor loss(const fg::Example& batch) {
    return torch::nn::functional::mse_loss(l2->forward(torch::tanh(l1->forward(batch.data))), batch.target);
  }

  auto training_step(const fg::Example& batch, auto& step) {
    using Result = std::conditional_t<Skips, std::optional<torch::Tensor>, torch::Tensor>;
    record->event("training_step");
    Row row{Record::as_double(step.epoch()), Record::as_double(step.batch_index()), 0.0,
            Record::as_double(step.global_step()), std::nullopt};
    Row lrs;
    Record::add_lrs(lrs, step.optimizers());
    record->training_step_lr.push_back(std::move(lrs));
    if constexpr (Skips) {
      if (skipped(step.batch_index())) {
        record->training_steps.push_back(std::move(row));
        return Result{};
      }
    }
    auto value = loss(batch);
    row.back() = value.template item<double>();
    record->training_steps.push_back(std::move(row));
    if (config.value("log", "") == "many") {
      step.log("a_step", value);
      step.log("b_both", value, fg::on_step | fg::on_epoch);
      step.log("c_epoch_sum", value, fg::epoch_sum);
      step.log("d_epoch_max", value, fg::epoch_max);
      step.log("e_epoch_min", value, fg::epoch_min);
      step.log("f_weighted", value, fg::on_epoch, fg::Weight{step.batch_index() + 1});
    } else {
      step.log("train_loss", value, fg::on_step | fg::on_epoch);
    }
    return Result{std::move(value)};
  }
  void validation_step(const fg::Example& batch, auto& step) {
    record->event("validation_step");
    step.log("val_loss", loss(batch));
  }

  auto configure_optimizers() {
    return attach<0>(fg::optimizer(AnyOptimizer<Reevaluates>(
        make_optimizer(), [this] { note_step(); }, [this] { record->event("<opt0.step"); })));
  }

  void setup() { record->event("setup"); }
  void on_fit_start(auto&) { record->event("on_fit_start"); }
  void on_train_start(auto&) { record->event("on_train_start"); }
  void on_train_epoch_start(auto&) { record->event("on_train_epoch_start"); }
  fg::EpochControl on_train_batch_start(const fg::Example&, auto& step) {
    record->event("on_train_batch_start");
    record->batch = step.batch_index();
    const bool stop = config.contains("stop_epoch_at_batch") && config.at("stop_epoch_at_batch") == step.batch_index();
    return stop ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
  void on_before_zero_grad(auto&, auto&) { record->event("on_before_zero_grad"); }
  void on_before_backward(const auto&, auto&) { record->event("on_before_backward"); }
  void on_after_backward(auto&) { record->event("on_after_backward"); }
  void on_before_optimizer_step(auto&, auto&) {
    record->event("on_before_optimizer_step");
    if (!config.contains("grad_norm")) return;
    record->gradient_norms.emplace_back();
    for (const auto& [name, norm] : fg::gradient_norms(*this, number(config.at("grad_norm")))) {
      record->gradient_norms.back()[name] = norm.template item<double>();
    }
  }
  void on_train_batch_end(const auto& result, const fg::Example&, auto& step) {
    double sum = 0.0;
    double squares = 0.0;
    for (const auto& parameter : parameters()) {
      sum += parameter.sum().template item<double>();
      squares += parameter.square().sum().template item<double>();
    }
    Row row{Record::as_double(step.epoch()), Record::as_double(step.batch_index()), Record::as_double(result.global_step),
            sum, squares};
    Record::add_lrs(row, step.optimizers());
    record->batch_end.push_back(std::move(row));
    record->event("on_train_batch_end");
    record->batch_ends[{step.epoch(), step.batch_index()}] = record->events.size();
  }
  void on_validation_start(auto&) { record->event("on_validation_start"); }
  void on_validation_epoch_start(auto&) { record->event("on_validation_epoch_start"); }
  void on_validation_epoch_end(auto&) { record->event("on_validation_epoch_end"); }
  void on_validation_end(auto& step) {
    record->event("on_validation_end");
    record->validation.push_back({Record::as_double(step.epoch()), Record::as_double(record->batch),
                                  Record::as_double(step.global_step()), step.metrics().value("val_loss")});
  }
  void on_train_epoch_end(auto& step) {
    record->event("on_train_epoch_end");
    record->epoch_end.push_back({{Record::as_double(step.epoch()), Record::as_double(step.global_step())},
                                 step.metrics().values()});
  }
  void on_train_end(auto&) { record->event("on_train_end"); }
  void on_fit_end(auto&) { record->event("on_fit_end"); }
  void teardown() { record->event("teardown"); }

  Json config;
  std::string program;
  torch::nn::Linear l1, l2;
  Record* record;

 private:
  bool skipped(std::int64_t batch) const {
    return program == "skip_none" && batch % config.at("skip").at(0).get<std::int64_t>() == config.at("skip").at(1);
  }

  void note_step() {
    const fg::Progress& at = *record->progress;
    Row row{0.0, Record::as_double(at.epoch), Record::as_double(record->batch), Record::as_double(at.global_step)};
    Record::add_lrs(row, *rates);
    record->optimizer_steps.push_back(std::move(row));
  }

  std::vector<torch::Tensor> parameters_of(const std::string& which) {
    if (which == "all") return parameters();
    if (which == "l1") return l1->parameters();
    if (which == "l2") return l2->parameters();
    throw std::runtime_error("no parameters are known as " + which);
  }

  std::unique_ptr<ErasedOptimizer> make_optimizer() {
    Json options = config.at("optimizers").at(0);
    const auto type = options.at("type").get<std::string>();
    const Json which = options.value("params", Json("all"));
    options.erase("type");
    options.erase("params");
    std::vector<TraceGroup> groups;
    if (which.is_string()) {
      groups.push_back({parameters_of(which), Json::object()});
    } else {
      for (const Json& group : which) groups.push_back({parameters_of(group.at("params")), group});
    }
    auto optimizer = parity::make_optimizer(type, std::move(groups), std::move(options));
    rates = optimizer.get();
    return optimizer;
  }

  template <std::size_t Index, class Configured>
  auto attach(Configured configured) {
    if constexpr (Index == sizeof...(Schedules)) {
      return configured;
    } else {
      using Schedule = std::remove_cvref_t<decltype(boost::hana::at_c<Index>(std::declval<boost::hana::tuple<Schedules...>&>()))>;
      return attach<Index + 1>(std::move(configured).with(make<Schedule>(Index), interval(Index)));
    }
  }

  const Json& scheduler(std::size_t index) const { return config.at("schedulers").at(index); }

  AnyInterval interval(std::size_t index) const {
    return {.step = scheduler(index).value("interval", "epoch") == "step",
            .frequency = scheduler(index).value("frequency", std::int64_t{1})};
  }

  template <class Schedule>
  Schedule make(std::size_t index) {
    if constexpr (std::is_same_v<Schedule, AnyPlateau>) {
      AnyPlateau plateau = make_plateau(scheduler(index), scheduler(index).at("monitor"));
      plateau.on_advance = [record = record, index](double metric, double lr) { record->schedule(index, metric, lr); };
      return plateau;
    } else {
      AnySchedule schedule = make_schedule(scheduler(index));
      schedule.on_advance = [record = record, index](double lr) { record->schedule(index, std::nullopt, lr); };
      return schedule;
    }
  }

  Rates* rates = nullptr;
};

// --- programs that override a hook; the trace says which -------------------------------------------------------------

/// warmup, every_n, own_optimizer, closure_first.
template <class Base>
struct OverridesStep : Base {
  using Base::Base;

  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    if (this->program == "warmup") {
      const auto warmup = this->config.at("warmup_steps").template get<std::int64_t>();
      if (step.global_step() < warmup) {
        const double lr = number(this->config.at("optimizers").at(0).at("lr"));
        optimizer.set_lr(std::min(1.0, static_cast<double>(step.global_step() + 1) / static_cast<double>(warmup)) * lr);
      }
      optimizer.step(closure);
    } else if (this->program == "every_n") {
      const auto n = this->config.at("every_n").at(0).template get<std::int64_t>();
      if ((step.batch_index() + 1) % n == 0) {
        optimizer.step(closure);
      } else {
        closure();
      }
    } else if (this->program == "closure_first") {
      closure();
      optimizer.step();
    } else {  // own_optimizer
      closure();
      optimizer.unsafe_raw().step();
    }
  }
};

/// zero_even, zero_keep.
template <class Base>
struct OverridesZeroGrad : Base {
  using Base::Base;

  void optimizer_zero_grad(auto& optimizer, auto& step) {
    if (this->program == "zero_even") {
      if (step.batch_index() % 2 == 0) optimizer.zero_grad();
      return;
    }
    for (auto& parameter : this->parameters()) {
      if (parameter.grad().defined()) parameter.mutable_grad().zero_();
    }
  }
};

/// clip_own.
template <class Base>
struct OverridesClipping : Base {
  using Base::Base;

  void configure_gradient_clipping(auto&, auto&) {
    for (auto& parameter : this->l1->parameters()) parameter.mutable_grad().clamp_(-0.05, 0.05);
  }
};

}  // namespace parity::golden
