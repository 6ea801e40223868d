// SPDX-License-Identifier: MIT
// From a golden trace's configuration to a run: data, limits, policies. `run` is compiled once for each model
// and set of policies; the functions behind `run_case` name the combinations, each in a test file of its own.
#pragma once

#include <torch/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/checkpoint/training.hpp>
#include <fulgurite/data/example.hpp>
#include <fulgurite/trainer.hpp>

#include "any_policies.hpp"
#include "golden_model.hpp"
#include "json.hpp"
#include "record.hpp"
#include "support/temporary_folder.hpp"

namespace parity::golden {

/// What a run left behind.
struct Outcome {
  Record record;
  fg::Progress progress;
  std::map<std::string, std::vector<double>> parameters;
  Row lrs;
};

// --- the combinations, each defined in a file of that name (run_policies.cpp, ...) ---

Outcome run_policies(const Json& config);   // one optimizer: the library's own policies, without schedules
Outcome run_single(const Json& config);     // one optimizer: everything else
Outcome run_averages(const Json& config);   // with a callback that averages weights
Outcome run_precision(const Json& config);  // under a loss scale, or autocast
Outcome run_several(const Json& config);    // several optimizers
Outcome run_turns(const Json& config);      // several that take turns
Outcome run_manual(const Json& config);     // manual optimization

/// Runs whatever the configuration describes. Throws std::runtime_error if that is not known.
/// (golden_case.cpp)
Outcome run_case(const Json& config);

// --- data ---

inline const Json& shared() {
  static const auto path = folder() / "golden/shared.json";
  static const Json& file = read_json(path);
  return file;
}

inline torch::Tensor shared_data(const std::string& name) {
  const Json& data = shared().at("data");
  const Json& shapes = shared().contains("shapes") ? shared().at("shapes") : data.at("shapes");
  return torch::tensor(numbers(data.at(name)), torch::kDouble)
      .view(shapes.at(name).get<std::vector<std::int64_t>>());
}

inline std::vector<fg::Example> batches(const std::string& x, const std::string& y, torch::Dtype dtype) {
  std::vector<fg::Example> all;
  const auto xs = shared_data(x).to(dtype).split(10);
  const auto ys = shared_data(y).to(dtype).split(10);
  for (std::size_t i = 0; i < xs.size(); ++i) all.emplace_back(xs[i].clone(), ys[i].clone());
  return all;
}

// --- what the trainer is given ---

inline fg::BatchLimit batch_limit(const Json& value) {
  if (value.is_number_float()) return fg::Fraction{value.get<double>()};
  return fg::Batches{value.get<std::int64_t>()};
}

template <class Trainer>
void set_validation_times(Trainer& trainer, Arguments& options, bool across_epochs) {
  fg::ValidateEvery every;
  const Json* interval = options.find("val_check_interval");
  if (interval && interval->is_number_float()) every.interval = fg::Fraction{interval->get<double>()};
  if (interval && interval->is_number_integer()) every.interval = fg::Batches{interval->get<std::int64_t>()};
  const Json* epochs = options.find("check_val_every_n_epoch");
  if (epochs) every.epochs = epochs->get<std::int64_t>();
  if (across_epochs) {
    trainer.set_limit(fg::ValidateAcrossEpochs{options.at("val_check_interval").get<std::int64_t>()});
  } else {
    trainer.set_limit(every);
  }
}

template <class Trainer>
void set_limits(Trainer& trainer, Arguments& options) {
  std::optional<std::int64_t> max_epochs = options.get("max_epochs", std::int64_t{3});
  const std::int64_t max_steps = options.get("max_steps", std::int64_t{-1});
  fg::LimitBatches limit;
  if (const Json* value = options.find("limit_train_batches")) limit.train = batch_limit(*value);
  if (const Json* value = options.find("limit_val_batches")) limit.validation = batch_limit(*value);
  if (const Json* value = options.find("overfit_batches"))
    limit.train = limit.validation = batch_limit(*value);
  trainer.set_limit(limit);
  trainer.set_limit(fg::MinEpochs{options.get("min_epochs", std::int64_t{0})});
  trainer.set_limit(fg::MinSteps{options.get("min_steps", std::int64_t{0})});
  if (max_steps >= 0) trainer.set_limit(fg::MaxSteps{max_steps});
  if (*max_epochs >= 0) trainer.set_limit(fg::MaxEpochs{*max_epochs});
  if (*max_epochs < 0 && max_steps < 0) throw std::runtime_error("a training without end");
}

/// All options of the trainer that are limits; those that name policies are read elsewhere.
template <class Trainer>
void set_options(Trainer& trainer, const Json& given) {
  Arguments options(given, {"accumulate_grad_batches", "gas", "gradient_clip_val", "gradient_clip_algorithm",
                            "early_stopping", "precision", "swa", "ema"});
  set_limits(trainer, options);
  trainer.set_limit(fg::LogEvery{options.get("log_every_n_steps", std::int64_t{50})});
  const Json epochs = given.value("check_val_every_n_epoch", Json(1));
  set_validation_times(trainer, options, epochs.is_null());
  if (const Json* value = options.find("fast_dev_run")) {
    const auto count = value->is_boolean() ? std::int64_t{value->get<bool>()} : value->get<std::int64_t>();
    if (count > 0) trainer.set_limit(fg::FastDevRun{count});
  }
  options.done("trainer");
}

inline Json trainer_of(const Json& config) {
  return config.value("trainer", Json::object());
}

/// Lightning divides a short last window as a full one.
inline fg::AccumulateSchedule accumulation_of(const Json& config) {
  const Json trainer = trainer_of(config);
  fg::AccumulateSchedule schedule{.stages = {}, .partial = fg::PartialWindow::full_divisor};
  if (trainer.contains("gas")) {
    std::map<std::int64_t, std::int64_t> stages;
    for (const auto& [epoch, count] : trainer.at("gas").items())
      stages[std::stoll(epoch)] = count.get<std::int64_t>();
    for (const auto& [epoch, count] : stages) schedule.stages.push_back({epoch, count});
  } else {
    schedule.stages.push_back({0, trainer.value("accumulate_grad_batches", std::int64_t{1})});
  }
  return schedule;
}

inline bool accumulates(const Json& config) {
  const Json trainer = trainer_of(config);
  return trainer.value("accumulate_grad_batches", std::int64_t{1}) != 1 || trainer.contains("gas");
}

inline bool has_lbfgs(const Json& config) {
  for (const Json& optimizer : config.at("optimizers")) {
    if (optimizer.at("type") == "LBFGS") return true;
  }
  return false;
}

/// The loss scale of a configuration.
inline fg::LossScaleOptions loss_scale_of(const Json& scaler) {
  Arguments options(scaler);
  fg::LossScaleOptions scale;
  scale.initial_scale = options.get("init_scale", scale.initial_scale);
  scale.growth_factor = options.get("growth_factor", scale.growth_factor);
  scale.backoff_factor = options.get("backoff_factor", scale.backoff_factor);
  scale.growth_interval = options.get("growth_interval", scale.growth_interval);
  options.done("scaler");
  return scale;
}

// --- a run ---

/// Runs a configuration on `model`. `from`: the checkpoint with which it goes on.
template <class Model, class... Policies>
void run_on(Model& model, Witness witness, const std::filesystem::path& from, Outcome& outcome, Policies... policies) {
  const Json& config = model.config;
  fg::Trainer trainer{model, policies..., witness,
                      AnyEarlyStopping(trainer_of(config).value("early_stopping", Json()))};
  outcome.record.progress = &trainer.progress();
  if constexpr (requires { trainer.loss_scale(); }) {
    outcome.record.loss_scale = [&] {
      return Row{trainer.loss_scale().scale(), Record::as_double(trainer.loss_scale().growth_tracker())};
    };
  }
  set_options(trainer, trainer_of(config));
  if (!from.empty()) fg::load_checkpoint(trainer, from);

  const auto dtype = dtype_of(config);
  const auto train = batches("x_train", Model::train_target, dtype);
  const auto validation = batches("x_val", "y_val", dtype);
  if (config.value("val", true)) {
    trainer.fit(train, validation);
  } else {
    trainer.fit(train);
  }

  outcome.progress = trainer.progress();
  outcome.record.progress = nullptr;
  outcome.record.loss_scale = nullptr;
  outcome.record.metrics = trainer.metrics().values();
  outcome.lrs.clear();
  model.add_all_lrs(outcome.lrs);
}

/// The first part of a run that is interrupted: what it does after its last checkpoint is forgotten.
template <class Model, class... Policies>
void run_first(const Json& config, const std::filesystem::path& to, Outcome& outcome, Policies... policies) {
  Arguments resume(config.at("resume"));
  Json first = config;
  first["trainer"] = trainer_of(config);
  if (const Json* options = resume.find("first")) first["trainer"].update(*options);
  Witness witness{.record = &outcome.record, .checkpoint = to};
  if (const Json* given = resume.find("checkpoint")) {
    Arguments checkpoint(*given, {"save_top_k"});
    if (const Json* every = checkpoint.find("every_n_train_steps")) witness.checkpoint_every = every->get<std::int64_t>();
    checkpoint.done("checkpoint");
  }
  resume.done("resume");
  Record interrupted;
  Model model(first, shared().at("init").at(Model::initial), outcome.record);
  model.interrupted = &interrupted;
  run_on(model, witness, {}, outcome, policies...);
  outcome.record = std::move(interrupted);
}

template <class Model, class... Policies>
Outcome run(const Json& config, Policies... policies) {
  Outcome outcome;
  const support::TemporaryFolder folder;
  std::filesystem::path checkpoint;
  if (config.contains("resume")) {
    checkpoint = folder.path / "run.ckpt";
    run_first<Model>(config, checkpoint, outcome, policies...);
  }
  Model model(config, shared().at("init").at(Model::initial), outcome.record);
  if (!checkpoint.empty()) {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : model.parameters()) parameter.zero_();  // what is not loaded is seen
  }
  run_on(model, Witness{.record = &outcome.record}, checkpoint, outcome, policies...);
  for (const auto& parameter : model.named_parameters()) {
    const auto values = parameter.value().detach().to(torch::kDouble).contiguous();
    outcome.parameters[parameter.key()] = {values.template data_ptr<double>(),
                                           values.template data_ptr<double>() + values.numel()};
  }
  return outcome;
}

/// With policies that are chosen when the program runs.
template <class Model>
Outcome run_with_any_policies(const Json& config) {
  return run<Model>(config, accumulation_of(config), clipping_of(config));
}

}  // namespace parity::golden
