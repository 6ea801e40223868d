// SPDX-License-Identifier: MIT
// Golden traces of one optimizer with a callback that averages its weights.
#include <torch/torch.h>

#include <cstdint>
#include <stdexcept>
#include <string>

#include <fulgurite/callbacks/ema_weight_averaging.hpp>
#include <fulgurite/callbacks/stochastic_weight_averaging.hpp>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

using Model = Single<MlpNet, Shape{.schedules = 2, .plateaus = 1}>;

fg::StochasticWeightAveraging stochastic(const Json& given) {
  Arguments options(given);
  fg::StochasticWeightAveraging average{.averages_at = fg::AveragesAt::epoch_start};  // as Lightning
  average.lr = per_group(options.at("swa_lrs"));
  if (const Json* start = options.find("swa_epoch_start")) {
    average.start = start->is_number_float() ? fg::EpochPlace(fg::Fraction{start->get<double>()})
                                             : fg::EpochPlace(fg::EpochNumber{start->get<std::int64_t>()});
  }
  average.annealing_epochs = options.get("annealing_epochs", average.annealing_epochs);
  const auto strategy = options.get("annealing_strategy", "cos");
  if (strategy != "cos" && strategy != "linear")
    throw std::runtime_error("no annealing is known as " + strategy);
  average.annealing = strategy == "cos" ? fg::Anneal::cosine : fg::Anneal::linear;
  options.done("swa");
  return average;
}

/// By the names of Lightning's EMAWeightAveraging, or short ones.
fg::EMAWeightAveraging exponential(const Json& given) {
  Arguments options(given);
  fg::EMAWeightAveraging average;
  average.decay = options.get("decay", average.decay);
  average.every = options.get("update_every_n_steps", options.get("every", average.every));
  average.start = options.get("update_starting_at_step", options.get("start", average.start));
  options.done("ema");
  return average;
}

}  // namespace

Outcome run_averages(const Json& config) {
  const Json trainer = trainer_of(config);
  if (has_lbfgs(config) || config.value("program", "plain") != "plain" ||
      (trainer.contains("swa") && trainer.contains("ema"))) {
    throw std::runtime_error("averages with this configuration are not known");
  }
  if (trainer.contains("swa")) {
    return run<Model>(config, accumulation_of(config), clipping_of(config), stochastic(trainer.at("swa")));
  }
  return run<Model>(config, accumulation_of(config), clipping_of(config), exponential(trainer.at("ema")));
}

}  // namespace parity::golden
