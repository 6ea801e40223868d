// SPDX-License-Identifier: MIT
// The model of the golden traces as their configurations describe it: its optimizers and schedules, and hooks
// that write down when they come. `golden_automatic.hpp` and `golden_manual.hpp` add a training_step.
#pragma once

#include <torch/types.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/data/example.hpp>
#include <fulgurite/optim/gradient_norms.hpp>
#include <fulgurite/trainer.hpp>

#include "any_optimizer.hpp"
#include "any_policies.hpp"
#include "any_schedule.hpp"
#include "golden_nets.hpp"
#include "json.hpp"
#include "record.hpp"

namespace parity::golden {

/// What of a configuration is decided when a model is compiled.
struct Shape {
  std::size_t optimizers = 1;
  bool reevaluates = false;  // they are LBFGS
  bool turns = false;        // they take turns
  bool manual = false;
  bool skips = false;         // training_step may return nothing
  bool scaled = false;        // the trainer has a loss scale
  std::size_t schedules = 0;  // places for schedules of each optimizer, some of which may stay empty
  std::size_t plateaus = 0;   // the same for those that follow a metric
};

/// Of which number format a configuration's tensors are.
inline torch::Dtype dtype_of(const Json& config) {
  const auto name = config.value("dtype", "float64");
  if (name == "float64") return torch::kDouble;
  if (name == "float32") return torch::kFloat;
  throw std::runtime_error("no number format is known as " + name);
}

template <class Net, Shape shape>
struct GoldenModel : Net {
  static constexpr Shape shape_of = shape;

  GoldenModel(const Json& given, const Json& first_values, Record& writes_to)
      : config(given), program(given.value("program", "plain")), record(&writes_to) {
    this->to(dtype_of(config));
    torch::NoGradGuard no_grad;
    for (auto& parameter : this->named_parameters()) {
      parameter->copy_(
          torch::tensor(numbers(first_values.at(parameter.key())), torch::kDouble).view(parameter->sizes()));
    }
    for (const Json& name : config.value("frozen", Json::array())) {
      for (auto& parameter : parameters_of(name.get<std::string>())) parameter.set_requires_grad(false);
    }
    require_places();
  }

  void validation_step(const fg::Example& batch, auto& step) {
    if (!Net::is_gan) record->event("validation_step");  // the trace's GAN does not say it
    step.log("val_loss", this->validation_value(batch));
  }

  auto configure_optimizers() {
    return [this]<std::size_t... I>(std::index_sequence<I...>) {
      if constexpr (shape.optimizers == 1) {
        return this->template configured<0>();
      } else {
        return fg::optimizers(this->template configured<I>()...);
      }
    }(std::make_index_sequence<shape.optimizers>{});
  }

  void setup() { record->event("setup"); }
  void on_fit_start(auto&) { record->event("on_fit_start"); }
  void on_train_start(auto&) { record->event("on_train_start"); }
  void on_train_epoch_start(auto&) { record->event("on_train_epoch_start"); }
  fg::EpochControl on_train_batch_start(const fg::Example&, auto& step) {
    record->event("on_train_batch_start");
    record->batch = step.batch_index();
    const bool stop =
        config.contains("stop_epoch_at_batch") && config.at("stop_epoch_at_batch") == step.batch_index();
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
    for (const auto& parameter : this->parameters()) {
      const auto values = parameter.detach().to(torch::kDouble);
      sum += values.sum().template item<double>();
      squares += values.square().sum().template item<double>();
    }
    Row row{Record::as_double(step.epoch()), Record::as_double(step.batch_index()),
            Record::as_double(result.global_step), sum, squares};
    add_all_lrs(row);
    record->batch_end.push_back(std::move(row));
    if constexpr (requires { result.loss->template item<double>(); }) {
      if (result.loss) record->outputs[{step.epoch(), step.batch_index()}] = result.loss->template item<double>();
    }
    if (record->loss_scale) {
      Row scaler{Record::as_double(step.epoch()), Record::as_double(step.batch_index())};
      for (const auto& value : record->loss_scale()) scaler.push_back(value);
      record->scaler.push_back(std::move(scaler));
    }
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
    record->epoch_end.push_back(
        {{Record::as_double(step.epoch()), Record::as_double(step.global_step())}, step.metrics().values()});
  }
  // Called last when a checkpoint is written: from here on the run is what another trainer goes on with.
  void on_save_checkpoint(auto&) {
    record->event("on_save_checkpoint");
    if (interrupted) *interrupted = *record;
  }
  void on_load_checkpoint(auto&) {}
  void on_train_end(auto&) { record->event("on_train_end"); }
  void on_fit_end(auto&) { record->event("on_fit_end"); }
  void teardown() { record->event("teardown"); }

  /// The rates of all groups of all optimizers.
  void add_all_lrs(Row& row) const {
    for (const Rates* each : rates) Record::add_lrs(row, *each);
  }

  Json config;
  std::string program;
  Record* record;
  Record* interrupted = nullptr;  // where the record is kept as it was when a checkpoint was written
  std::array<Rates*, shape.optimizers> rates{};

 protected:
  /// A call of training_step for an optimizer: its row, without a loss yet.
  void note_training_step(auto& step, std::size_t optimizer, const std::string& event) {
    record->event(event);
    record->training_steps.push_back({Record::as_double(step.epoch()), Record::as_double(step.batch_index()),
                                      static_cast<double>(optimizer), Record::as_double(step.global_step()),
                                      std::nullopt});
    Row lrs;
    add_all_lrs(lrs);
    record->training_step_lr.push_back(std::move(lrs));
  }
  void note_loss(const torch::Tensor& loss) {
    record->training_steps.back().back() = loss.template item<double>();
  }

  /// The `place`-th schedule of an optimizer, among those that follow a metric or those that don't; nothing
  /// if it has fewer.
  std::optional<std::size_t> schedule_at(std::size_t optimizer, std::size_t place, bool plateau) const {
    const Json all = config.value("schedulers", Json::array());
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i].value("opt", std::size_t{0}) != optimizer || is_plateau(all[i]) != plateau) continue;
      if (place-- == 0) return i;
    }
    return std::nullopt;
  }

  std::vector<torch::Tensor> parameters_of(const std::string& which) {
    if (which == "all") return this->parameters();
    const auto modules = this->named_modules("", /*include_self=*/false);
    if (const auto* module = modules.find(which)) return (*module)->parameters();
    const auto all = this->named_parameters();
    if (const auto* parameter = all.find(which)) return {*parameter};
    throw std::runtime_error("no parameters are known as " + which);
  }

 private:
  void require_places() const {
    if (config.at("optimizers").size() != shape.optimizers) {
      throw std::runtime_error("this model has " + std::to_string(shape.optimizers) +
                               " optimizers, and the configuration " +
                               std::to_string(config.at("optimizers").size()));
    }
    for (const Json& scheduler : config.value("schedulers", Json::array())) {
      if (scheduler.value("opt", std::size_t{0}) >= shape.optimizers)
        throw std::runtime_error("a schedule of no optimizer");
    }
    for (std::size_t optimizer = 0; optimizer < shape.optimizers; ++optimizer) {
      if (schedule_at(optimizer, shape.schedules, false) || schedule_at(optimizer, shape.plateaus, true)) {
        throw std::runtime_error("as many schedules of one optimizer are not known: " +
                                 config.at("schedulers").dump());
      }
    }
  }

  void note_step(std::size_t optimizer) {
    const fg::Progress& at = *record->progress;
    Row row{static_cast<double>(optimizer), Record::as_double(at.epoch), Record::as_double(record->batch),
            Record::as_double(at.global_step)};
    Record::add_lrs(row, *rates[optimizer]);
    record->optimizer_steps.push_back(std::move(row));
  }

  template <std::size_t I>
  auto configured() {
    auto all = attach<I, 0>(fg::optimizer(AnyOptimizer<shape.reevaluates>(
        make_optimizer(I), [this] { note_step(I); },
        [this] { record->event("<opt" + std::to_string(I) + ".step"); })));
    if constexpr (shape.turns) {
      return std::move(all).frequency(fg::Batches{config.at("frequencies").at(I).template get<std::int64_t>()});
    } else {
      return all;
    }
  }

  std::unique_ptr<ErasedOptimizer> make_optimizer(std::size_t index) {
    Json options = config.at("optimizers").at(index);
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
    rates[index] = optimizer.get();
    return optimizer;
  }

  template <std::size_t I, std::size_t Place, class Configured>
  auto attach(Configured all) {
    if constexpr (Place == shape.schedules + shape.plateaus) {
      return all;
    } else if constexpr (Place < shape.schedules) {
      return attach<I, Place + 1>(with(std::move(all), schedule_at(I, Place, false), AnySchedule()));
    } else {
      return attach<I, Place + 1>(
          with(std::move(all), schedule_at(I, Place - shape.schedules, true), AnyPlateau()));
    }
  }

  /// `schedule`: an empty one, which stays if there is none at that index.
  template <class Configured, class Schedule>
  auto with(Configured all, std::optional<std::size_t> index, Schedule schedule) {
    if (index) fill(schedule, *index);
    if constexpr (shape.manual) {
      return std::move(all).lr_scheduler(std::move(schedule));
    } else {
      return std::move(all).lr_scheduler(std::move(schedule),
                                 index ? interval(config.at("schedulers").at(*index)) : AnyInterval{});
    }
  }

  static AnyInterval interval(const Json& scheduler) {
    const auto name = scheduler.value("interval", "epoch");
    if (name != "step" && name != "epoch") throw std::runtime_error("no interval is known as " + name);
    return {.kind = name == "step" ? AnyInterval::Kind::step : AnyInterval::Kind::epoch,
            .frequency = scheduler.value("frequency", std::int64_t{1})};
  }

  void fill(AnySchedule& schedule, std::size_t index) {
    schedule = make_schedule(config.at("schedulers").at(index));
    schedule.on_advance = [record = record, index](double lr) { record->schedule(index, std::nullopt, lr); };
  }
  void fill(AnyPlateau& plateau, std::size_t index) {
    const Json& scheduler = config.at("schedulers").at(index);
    plateau = make_plateau(scheduler, scheduler.value("monitor", "none"));
    plateau.on_advance = [record = record, index](double metric, double lr) {
      record->schedule(index, metric, lr);
    };
  }
};

}  // namespace parity::golden
