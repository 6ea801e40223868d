// SPDX-License-Identifier: MIT
// Whole trainings of PyTorch Lightning (golden/) through fg::Trainer: automatic optimization with one
// optimizer. Each case's configuration becomes a model, policies and limits; the run must have the trace's
// losses, rates, steps, validations, hooks and parameters, or what we decided to have instead.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iostream>
#include <iterator>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/callbacks/stochastic_weight_average.hpp>

#include "support/golden_model.hpp"

using namespace parity;
using namespace parity::golden;

namespace {

// --- what cannot be written, because it is refused when the program is compiled --------------------------

using LbfgsMlp = Mlp<true, false>;
static_assert(fg::detail::trainer_works<LbfgsMlp>());
static_assert(!fg::detail::trainer_works<LbfgsMlp, fg::Accumulate<4>>());
static_assert(!fg::detail::trainer_works<LbfgsMlp, fg::AccumulateSchedule>());

/// Whether a configuration cannot be compiled here.
bool is_refused(const Json& config) {
  const bool reevaluates = config.at("optimizers").at(0).at("type") == "LBFGS";
  const Json trainer = config.value("trainer", Json::object());
  const bool accumulates = trainer.value("accumulate_grad_batches", 1) != 1 || trainer.contains("gas");
  return reevaluates && (accumulates || config.value("program", "plain") == "skip_none");
}

/// What of a configuration this library does not offer yet; empty if it offers all of it.
std::string not_offered(const Json& config) {
  static const std::set<std::string> missing{"ema", "weight_averaging", "max_time"};
  const Json trainer = config.value("trainer", Json::object());
  for (const auto& [option, value] : trainer.items()) {
    if (missing.contains(option)) return option;
  }
  if (config.contains("resume")) return "resume";
  return {};
}

bool averages_weights(const Json& config) { return config.contains("trainer") && config.at("trainer").contains("swa"); }

// --- a case's run ----------------------------------------------------------------------------------------

const Json& shared() {
  static const Json& file = read_json(folder() / "golden/shared.json");
  return file;
}

torch::Tensor shared_data(const std::string& name) {
  const Json& data = shared().at("data");
  const Json& shapes = shared().contains("shapes") ? shared().at("shapes") : data.at("shapes");
  return torch::tensor(numbers(data.at(name)), torch::kDouble)
      .view(shapes.at(name).get<std::vector<std::int64_t>>());
}

std::vector<fg::Example> batches(const std::string& x, const std::string& y) {
  std::vector<fg::Example> all;
  const auto xs = shared_data(x).split(10);
  const auto ys = shared_data(y).split(10);
  for (std::size_t i = 0; i < xs.size(); ++i) all.emplace_back(xs[i].clone(), ys[i].clone());
  return all;
}

/// What a run left behind.
struct Outcome {
  Record record;
  fg::Progress progress;
  std::map<std::string, std::vector<double>> parameters;
  std::vector<double> lrs;
};

fg::BatchLimit batch_limit(const Json& value) {
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
    trainer.set_limit(fg::ValidateAcrossEpochs{interval->get<std::int64_t>()});
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

template <class Model, class Accumulation, class Clipping, class... Callbacks>
Outcome run(const Json& config, Accumulation accumulation, Clipping clipping, Callbacks... callbacks) {
  Outcome outcome;
  Model model(config, shared().at("init").at("mlp"), outcome.record);
  Witness witness;
  witness.record = &outcome.record;
  const Json early = config.value("trainer", Json::object()).value("early_stopping", Json());
  fg::Trainer trainer{model, accumulation, clipping, witness, AnyEarlyStopping(early), callbacks...};
  outcome.record.progress = &trainer.progress();

  Arguments options(config.value("trainer", Json::object()), {"accumulate_grad_batches", "gas", "gradient_clip_val",
                                                              "gradient_clip_algorithm", "early_stopping", "swa"});
  set_limits(trainer, options);
  trainer.set_limit(fg::LogEvery{options.get("log_every_n_steps", std::int64_t{50})});
  const Json epochs = config.value("trainer", Json::object()).value("check_val_every_n_epoch", Json(1));
  set_validation_times(trainer, options, epochs.is_null());
  if (const Json* value = options.find("fast_dev_run")) {
    const auto count = value->is_boolean() ? std::int64_t{value->get<bool>()} : value->get<std::int64_t>();
    if (count > 0) trainer.set_limit(fg::FastDevRun{count});
  }
  options.done("trainer");

  static const auto train = batches("x_train", "y_train");
  static const auto validation = batches("x_val", "y_val");
  if (config.value("val", true)) {
    trainer.fit(train, validation);
  } else {
    trainer.fit(train);
  }

  outcome.progress = trainer.progress();
  outcome.record.progress = nullptr;
  outcome.record.metrics = trainer.metrics().values();
  for (std::int64_t group = 0; group < trainer.optimizer().group_count(); ++group) {
    outcome.lrs.push_back(trainer.optimizer().lr(group));
  }
  for (const auto& parameter : model.named_parameters()) {
    const auto values = parameter.value().detach().contiguous();
    outcome.parameters[parameter.key()] = {values.template data_ptr<double>(),
                                           values.template data_ptr<double>() + values.numel()};
  }
  return outcome;
}

// --- from a configuration to types -----------------------------------------------------------------------

fg::AccumulateSchedule accumulation_of(const Json& trainer) {
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

AnyClip clipping_of(const Json& trainer) {
  const double max = trainer.contains("gradient_clip_val") && !trainer.at("gradient_clip_val").is_null()
                         ? number(trainer.at("gradient_clip_val"))
                         : 0.0;
  if (max == 0.0) return {};
  const bool by_value = trainer.value("gradient_clip_algorithm", "norm") == "value";
  return {by_value ? AnyClip::Kind::value : AnyClip::Kind::norm, max};
}

/// The policies themselves, for a model without schedules: nine trainers.
template <class Model>
Outcome run_with_policies(const Json& config) {
  const Json trainer = config.value("trainer", Json::object());
  const AnyClip clip = clipping_of(trainer);
  const auto with_accumulation = [&](auto accumulation) {
    if (clip.kind == AnyClip::Kind::norm)
      return run<Model>(config, accumulation, fg::ClipNorm{.max = clip.max});
    if (clip.kind == AnyClip::Kind::value)
      return run<Model>(config, accumulation, fg::ClipValue{.max = clip.max});
    return run<Model>(config, accumulation, fg::NoClipping{});
  };
  const auto accumulation = accumulation_of(trainer);
  if (accumulation.stages.size() == 1 && accumulation.stages[0].from_epoch == 0) {
    if (accumulation.stages[0].batches == 1) return with_accumulation(fg::NoAccumulation{});
    if (accumulation.stages[0].batches == 4) {
      return with_accumulation(fg::Accumulate<4>{.partial = fg::PartialWindow::full_divisor});
    }
  }
  return with_accumulation(accumulation);
}

/// Policies that are chosen when the program runs: one trainer for each kind of model.
template <class Model>
Outcome run_with_any_policies(const Json& config) {
  const Json trainer = config.value("trainer", Json::object());
  return run<Model>(config, accumulation_of(trainer), clipping_of(trainer));
}

template <class Model>
Outcome run_lbfgs(const Json& config) {
  return run<Model>(config, fg::NoAccumulation{}, clipping_of(config.value("trainer", Json::object())));
}

/// With Lightning's choice of what is averaged: the beginnings of epochs.
fg::StochasticWeightAverage weight_average_of(const Json& config) {
  Arguments options(config, {});
  const Json* epoch = options.find("swa_epoch_start");
  const auto strategy = options.get("annealing_strategy", "cos");
  if (strategy != "cos" && strategy != "linear") throw std::runtime_error("annealing " + strategy);
  fg::StochasticWeightAverage average{.lr = options.get("swa_lrs", 0.0),
                                      .annealing_epochs = options.get("annealing_epochs", std::int64_t{10}),
                                      .annealing = strategy == "cos" ? fg::Anneal::cosine : fg::Anneal::linear,
                                      .averages_at = fg::AveragesAt::epoch_start};
  if (epoch && epoch->is_number_integer()) average.start = fg::EpochNumber{epoch->get<std::int64_t>()};
  if (epoch && epoch->is_number_float()) average.start = fg::Fraction{epoch->get<double>()};
  options.done("swa");
  return average;
}

template <class Model>
Outcome run_with_weight_average(const Json& config) {
  const Json& trainer = config.at("trainer");
  return run<Model>(config, accumulation_of(trainer), clipping_of(trainer), weight_average_of(trainer.at("swa")));
}

/// The model's schedules as letters: s, or p for one that follows a metric.
std::string kinds_of_schedules(const Json& config) {
  std::string kinds;
  for (const Json& scheduler : config.value("schedulers", Json::array()))
    kinds += is_plateau(scheduler) ? 'p' : 's';
  return kinds;
}

Outcome run_case(const Json& config) {
  static const std::set<std::string> step_programs{"warmup", "every_n", "own_optimizer", "closure_first"};
  static const std::set<std::string> zero_programs{"zero_even", "zero_keep"};
  using S = AnySchedule;
  using P = AnyPlateau;
  const auto program = config.value("program", "plain");
  const auto kinds = kinds_of_schedules(config);
  const bool reevaluates = config.at("optimizers").at(0).at("type") == "LBFGS";

  if (reevaluates) {
    if (program != "plain") throw std::runtime_error("LBFGS with the program " + program + " is not known");
    if (kinds.empty()) return run_lbfgs<Mlp<true, false>>(config);
    if (kinds == "s") return run_lbfgs<Mlp<true, false, S>>(config);
    if (kinds == "p") return run_lbfgs<Mlp<true, false, P>>(config);
    throw std::runtime_error("LBFGS with the schedules " + kinds + " is not known");
  }
  if (averages_weights(config)) {
    if (program == "plain" && kinds.empty()) return run_with_weight_average<Mlp<false, true>>(config);
    throw std::runtime_error("an average with schedules or the program " + program + " is not known");
  }
  if (program == "plain" && kinds.empty()) return run_with_policies<Mlp<false, false>>(config);
  if (program == "plain" || program == "skip_none") {
    if (kinds.empty()) return run_with_any_policies<Mlp<false, true>>(config);
    if (kinds == "s") return run_with_any_policies<Mlp<false, true, S>>(config);
    if (kinds == "p") return run_with_any_policies<Mlp<false, true, P>>(config);
    if (kinds == "ss") return run_with_any_policies<Mlp<false, true, S, S>>(config);
    if (kinds == "sp") return run_with_any_policies<Mlp<false, true, S, P>>(config);
    if (kinds == "ps") return run_with_any_policies<Mlp<false, true, P, S>>(config);
    if (kinds == "pp") return run_with_any_policies<Mlp<false, true, P, P>>(config);
    if (kinds == "sss") return run_with_any_policies<Mlp<false, true, S, S, S>>(config);
  }
  if (step_programs.contains(program)) {
    if (kinds.empty()) return run_with_any_policies<OverridesStep<Mlp<false, false>>>(config);
    if (kinds == "s") return run_with_any_policies<OverridesStep<Mlp<false, false, S>>>(config);
  }
  if (zero_programs.contains(program) && kinds.empty()) {
    return run_with_any_policies<OverridesZeroGrad<Mlp<false, false>>>(config);
  }
  if (program == "clip_own" && kinds.empty())
    return run_with_any_policies<OverridesClipping<Mlp<false, false>>>(config);
  throw std::runtime_error("the program " + program + " with the schedules \"" + kinds + "\" is not known");
}

// --- comparing -------------------------------------------------------------------------------------------

bool agree(std::optional<double> ours, const Json& theirs, double tolerance) {
  if (theirs.is_null() || !ours) return theirs.is_null() && !ours;
  const double expected = number(theirs);
  return *ours == expected || std::abs(*ours - expected) <= tolerance;
}

std::string shown(const Row& row) {
  std::ostringstream out;
  out.precision(17);
  for (const auto& value : row) value ? out << *value << ' ' : out << "null ";
  return out.str();
}

/// The first `exact` numbers of a row are counters: those must be equal.
void require_rows(const char* what, const std::vector<Row>& ours, const Json& theirs, std::size_t exact,
                  double tolerance) {
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    INFO(what << ", row " << i << ": " << shown(ours[i]) << ", expected " << theirs[i].dump());
    REQUIRE(ours[i].size() == theirs[i].size());
    for (std::size_t k = 0; k < ours[i].size(); ++k)
      REQUIRE(agree(ours[i][k], theirs[i][k], k < exact ? 0.0 : tolerance));
  }
  INFO(what);
  REQUIRE(ours.size() == theirs.size());
}

void require_metrics(const std::map<std::string, double>& ours, const Json& theirs, double tolerance) {
  for (const auto& [name, value] : theirs.items()) {
    INFO("metric " << name << ", expected " << value.dump());
    REQUIRE(ours.contains(name));
    INFO("ours " << ours.at(name));
    REQUIRE(agree(ours.at(name), value, tolerance));
  }
}

/// What the logger got, and the gradient norms.
void require_logs(const Record& ours, const Json& trace, double tolerance) {
  const auto require_same = [&](const std::map<std::string, double>& values, const Json& expected) {
    REQUIRE(values.size() == expected.size());
    require_metrics(values, expected, tolerance);
  };
  if (const auto logged = trace.find("logged"); logged != trace.end()) {
    REQUIRE(ours.logged.size() == logged->size());
    for (std::size_t i = 0; i < ours.logged.size(); ++i) {
      INFO("logged, row " << i);
      REQUIRE(ours.logged[i].first == logged->at(i).at(0));
      require_same(ours.logged[i].second, logged->at(i).at(1));
    }
  }
  if (trace.contains("extra") && trace.at("extra").contains("grad_norm")) {
    const Json& norms = trace.at("extra").at("grad_norm");
    REQUIRE(ours.gradient_norms.size() == norms.size());
    for (std::size_t i = 0; i < norms.size(); ++i) require_same(ours.gradient_norms[i], norms[i]);
  }
}

void require_parameters(const Outcome& ours, const Json& theirs, double tolerance) {
  REQUIRE(ours.parameters.size() == theirs.size());
  for (const auto& [name, values] : theirs.items()) {
    const auto expected = numbers(values);
    const auto& actual = ours.parameters.at(name);
    REQUIRE(actual.size() == expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      INFO(name << '[' << i << "]: differs by " << actual[i] - expected[i]);
      REQUIRE(std::abs(actual[i] - expected[i]) <= tolerance);
    }
  }
}

/// Events that only one side has: overridable defaults of Lightning, and where its raw step begins (ours runs
/// the closure before it).
std::vector<std::string> comparable(const std::string& hooks) {
  static const std::set<std::string> theirs_only{"optimizer_step>",
                                                 "<optimizer_step",
                                                 "opt0.step>",
                                                 "optimizer_zero_grad",
                                                 "configure_gradient_clipping",
                                                 "backward",
                                                 "on_validation_model_zero_grad",
                                                 "on_validation_model_eval",
                                                 "on_validation_model_train"};
  std::vector<std::string> events;
  std::istringstream words(hooks);
  for (std::string word; words >> word;) {
    if (!theirs_only.contains(word)) events.push_back(word);
  }
  return events;
}

void require_events(const char* what, std::vector<std::string> ours, const Json& hooks) {
  if (!hooks.contains(what)) return;
  const auto theirs = comparable(hooks.at(what));
  const auto joined = [](const std::vector<std::string>& events) {
    std::string all;
    for (const auto& event : events) all += event + ' ';
    return all;
  };
  INFO(what << "\n  ours:     " << joined(ours) << "\n  expected: " << joined(theirs));
  REQUIRE(ours == theirs);
}

void require_hooks(const Record& record, const Json& hooks, const Json& config) {
  const auto slice = [&](std::size_t from, std::size_t to) {
    return std::vector<std::string>(std::next(record.events.begin(), static_cast<std::ptrdiff_t>(from)),
                                    std::next(record.events.begin(), static_cast<std::ptrdiff_t>(to)));
  };
  if (record.batch_ends.empty()) return;
  const auto window = accumulation_of(config.value("trainer", Json::object())).window(0);
  std::int64_t last_of_epoch0 = 0;
  for (const auto& [at, index] : record.batch_ends) {
    if (at.first == 0) last_of_epoch0 = std::max(last_of_epoch0, at.second);
  }
  const auto first_window_end = record.batch_ends.at({0, std::min(window - 1, last_of_epoch0)});
  require_events("first_window", slice(0, first_window_end), hooks);
  if (record.batch_ends.contains({1, 0})) {
    // The trace begins where the batch before ended, with what a validation in the middle of an epoch adds.
    const auto from = last_of_epoch0 > 0 ? record.batch_ends.at({0, last_of_epoch0 - 1})
                                         : record.batch_starts.at({0, last_of_epoch0});
    require_events("last_batch_of_epoch0_to_first_of_epoch1", slice(from, record.batch_ends.at({1, 0})), hooks);
  }
  require_events("after_last_batch", slice(record.batch_ends.rbegin()->second, record.events.size()), hooks);
}

void require_counts(const Record& record, const Json& counts) {
  const auto count = [&](const std::string& event) {
    return std::count(record.events.begin(), record.events.end(), event);
  };
  CHECK(count("training_step") == counts.at("training_step"));
  CHECK(count("on_after_backward") == counts.at("backward"));
  CHECK(count("on_before_zero_grad") == counts.at("zero_grad"));
  CHECK(count("on_before_optimizer_step") == counts.at("on_before_optimizer_step"));
  CHECK(count("validation_step") == counts.at("validation_step"));
  CHECK(static_cast<std::int64_t>(record.optimizer_steps.size()) == counts.at("optimizer_step").at(0));
  for (std::size_t i = 0; i < counts.at("scheduler_step").size(); ++i) {
    CHECK(count("sched" + std::to_string(i) + ".step") == counts.at("scheduler_step")[i]);
  }
}

double tolerance_of(const Json& file) {
  const bool amplifies = file.contains("amplification") && !file.at("amplification").is_null() &&
                         number(file.at("amplification")) >= 100.0;
  return amplifies ? 1e-10 : 1e-12;
}

/// Everything as in the trace.
void require_match(const Json& file, const Outcome& ours) {
  const Json& trace = file.at("trace");
  const double tolerance = tolerance_of(file);
  const Record& record = ours.record;
  std::vector<Row> lrs = record.training_step_lr;
  if (!lrs.empty() && std::all_of(lrs.begin(), lrs.end(), [&](const Row& row) { return row == lrs.front(); }))
    lrs.resize(1);

  require_rows("training_steps", record.training_steps, trace.at("training_steps"), 4, tolerance);
  require_rows("training_step_lr", lrs, trace.at("training_step_lr"), 0, tolerance);
  require_rows("optimizer_steps", record.optimizer_steps, trace.at("optimizer_steps"), 4, tolerance);
  require_rows("scheduler_steps", record.scheduler_steps, trace.at("scheduler_steps"), 4, tolerance);
  require_rows("validation", record.validation, trace.at("validation"), 3, tolerance);
  // Sums of 212 squares of parameters, some above 1: more roundings, and each row in another order of adding.
  require_rows("batch_end", record.batch_end, trace.at("batch_end"), 3, 100.0 * tolerance);

  const Json& epoch_end = trace.at("epoch_end");
  REQUIRE(record.epoch_end.size() == epoch_end.size());
  for (std::size_t i = 0; i < epoch_end.size(); ++i) {
    INFO("epoch_end, row " << i);
    for (std::size_t k = 0; k < 2; ++k) REQUIRE(agree(record.epoch_end[i].first[k], epoch_end[i][k], 0.0));
    require_metrics(record.epoch_end[i].second, epoch_end[i][2], tolerance);
  }

  const Json& final = trace.at("final");
  CHECK(ours.progress.global_step == final.at("global_step"));
  CHECK(ours.progress.epoch == final.at("current_epoch"));
  for (std::size_t i = 0; i < ours.lrs.size(); ++i)
    CHECK(agree(ours.lrs[i], final.at("lr").at(i), tolerance));
  require_metrics(record.metrics, final.at("callback_metrics"), tolerance);
  require_logs(record, trace, tolerance);
  require_parameters(ours, final.at("params"), tolerance);
  require_counts(record, trace.at("counts"));
  if (trace.contains("hooks")) require_hooks(record, trace.at("hooks"), file.at("config"));
}

/// An average as Lightning makes it, but its learning rate moves between two epochs, where Lightning moves it at the end of
/// an epoch's last batch by a schedule of its own: no step sees the difference.
Json with_rates_that_move_between_epochs(Json file) {
  Json& trace = file.at("trace");
  const Json& lrs = trace.at("training_step_lr");  // a row a batch, since it moves
  if (lrs.size() != trace.at("batch_end").size()) throw std::runtime_error("not one rate a batch");
  for (std::size_t i = 0; i < lrs.size(); ++i) {
    for (std::size_t group = 0; group < lrs[i].size(); ++group) trace["batch_end"][i][5 + group] = lrs[i][group];
  }
  for (const Json& row : trace.at("scheduler_steps")) {
    if (row.at(0) != -1) throw std::runtime_error("a schedule beside the average's");
  }
  trace["scheduler_steps"] = Json::array();
  return file;
}

/// Where we decided otherwise: the batches are the same ones, a schedule by steps follows the optimizer's
/// steps and one by epochs the epochs; with `same_final_params_as`, the parameters are those of that case.
void require_decided_form(const Json& file, const Outcome& ours) {
  const Json& config = file.at("config");
  if (const auto other = file.find("same_final_params_as"); other != file.end() && !other->is_null()) {
    const auto path = folder() / "golden" / (other->get<std::string>() + ".json");
    if (std::filesystem::exists(path)) {
      const Json& reference = read_json(path);
      require_parameters(ours, reference.at("trace").at("final").at("params"), tolerance_of(reference));
    }
  }
  const Json& theirs = file.at("trace").at("training_steps");
  REQUIRE(ours.record.training_steps.size() == theirs.size());
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    for (std::size_t k = 0; k < 4; ++k) REQUIRE(agree(ours.record.training_steps[i][k], theirs[i][k], 0.0));
  }
  const Json schedulers = config.value("schedulers", Json::array());
  for (std::size_t i = 0; i < schedulers.size(); ++i) {
    if (is_plateau(schedulers[i]) || schedulers[i].value("frequency", 1) != 1) continue;
    const bool by_step = schedulers[i].value("interval", "epoch") == "step";
    const auto steps = std::count(ours.record.events.begin(), ours.record.events.end(),
                                  "sched" + std::to_string(i) + ".step");
    CHECK(steps == (by_step ? ours.progress.global_step : ours.progress.epoch));
  }
}

void require_known(const Json& file) {
  static const std::set<std::string> known{"optimizers",   "schedulers", "trainer", "mode",
                                           "program",      "every_n",    "skip",    "frozen",
                                           "warmup_steps", "val",        "ret",     "stop_epoch_at_batch",
                                           "resume",       "log",        "logger",  "grad_norm"};
  Arguments(file.at("config"), known).done(file.at("name"));
  if (file.at("model") != "mlp" || file.at("config").at("mode") != "auto" ||
      file.at("config").at("optimizers").size() != 1) {
    throw std::runtime_error("this is no case of automatic optimization with one optimizer");
  }
}

}  // namespace

TEST_CASE("trainings follow the golden traces") {
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& path : json_files(folder() / "golden")) {
    if (path.stem() == "shared") continue;
    const Json& file = read_json(path);
    const auto stance = file.at("stance").get<std::string>();
    const Json& config = file.at("config");
    const auto missing = not_offered(config);
    names[missing.empty() ? stance : "not offered yet"].push_back(
        path.stem().string() + (missing.empty() ? "" : " (" + missing + ")"));
    DYNAMIC_SECTION(path.stem().string()) {
      require_known(file);
      if (stance == "refuse") {
        CHECK(is_refused(config));
      } else if (missing.empty()) {
        const Outcome outcome = run_case(config);
        if (averages_weights(config)) {
          require_match(with_rates_that_move_between_epochs(file), outcome);
        } else {
          stance == "match" ? require_match(file, outcome) : require_decided_form(file, outcome);
        }
      }
    }
  }
  static bool printed = false;
  if (!std::exchange(printed, true)) {
    std::cout << "parity: golden traces:";
    for (const auto& [stance, cases] : names) std::cout << ' ' << stance << ' ' << cases.size();
    std::cout << '\n';
    for (const auto& name : names["not offered yet"]) std::cout << "  not offered yet: " << name << '\n';
  }
}
