// SPDX-License-Identifier: MIT
// Golden traces of one optimizer in automatic optimization, under a loss scale and under autocast.
#include <torch/torch.h>

#include <set>
#include <stdexcept>
#include <string>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

constexpr Shape plain{.schedules = 2, .plateaus = 1};
constexpr Shape lbfgs{.reevaluates = true, .schedules = 2, .plateaus = 1};
constexpr Shape scaled{.skips = true, .scaled = true, .schedules = 2, .plateaus = 1};

template <class Model, class Precision>
Outcome run_in(const Json& config, Precision precision) {
  // A loss scale is made for losses that are not finite.
  return run<Model>(config, accumulation_of(config), clipping_of(config), precision, fg::IgnoreNonFinite{});
}

}  // namespace

Outcome run_precision(const Json& config) {
  static const std::set<std::string> loss_programs{"plain", "skip_none", "scaler_inf"};
  static const std::set<std::string> step_programs{"warmup", "every_n", "closure_first"};
  const auto program = config.value("program", "plain");
  const auto precision = trainer_of(config).value("precision", "");
  const Json half = config.value("amp16", Json());
  const Json scaler = config.value("scaler", half.is_object() ? half : Json::object());
  const auto options = loss_scale_of(scaler);

  if (precision == "bf16-mixed" && !config.contains("scaler") && program == "plain") {
    if (!has_lbfgs(config)) return run_in<Single<MlpNet, plain>>(config, fg::Bfloat16Mixed{});
    if (!accumulates(config))
      return run<Single<MlpNet, lbfgs>>(config, clipping_of(config), fg::Bfloat16Mixed{});
  }
  if (has_lbfgs(config)) throw std::runtime_error("LBFGS with a loss scale, or with accumulation");
  if ((precision == "16-mixed" || (half.is_object() || half == true)) && program == "plain") {
    return run_in<Single<MlpNet, scaled>>(
        config, fg::Float16Mixed{options.initial_scale, options.growth_factor, options.backoff_factor,
                                 options.growth_interval});
  }
  if (precision.empty() && half.is_null() && config.contains("scaler")) {
    if (loss_programs.contains(program)) return run_in<Single<MlpNet, scaled>>(config, ScaledLoss{options});
    if (step_programs.contains(program))
      return run_in<OverridesStep<Single<MlpNet, scaled>>>(config, ScaledLoss{options});
    if (program == "clip_own")
      return run_in<OverridesClipping<Single<MlpNet, scaled>>>(config, ScaledLoss{options});
  }
  throw std::runtime_error("the program " + program + " in the precision \"" + precision +
                           "\" is not known here");
}

}  // namespace parity::golden
