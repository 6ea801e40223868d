// SPDX-License-Identifier: MIT
// Golden traces of manual optimization.
#include <torch/torch.h>

#include <stdexcept>
#include <string>

#include "golden_manual.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

constexpr Shape one{.manual = true, .schedules = 2, .plateaus = 1};
constexpr Shape lbfgs{.reevaluates = true, .manual = true, .schedules = 2, .plateaus = 1};
constexpr Shape gan{.optimizers = 2, .manual = true, .schedules = 2, .plateaus = 1};

/// In the precision that the configuration asks for.
template <class Model>
Outcome run_manually(const Json& config) {
  const auto precision = trainer_of(config).value("precision", "");
  if (config.contains("scaler")) {
    return run<Model>(config, fg::ManualOptimization{}, ScaledLoss{loss_scale_of(config.at("scaler"))},
                      fg::IgnoreNonFinite{});
  }
  if (precision == "bf16-mixed") return run<Model>(config, fg::ManualOptimization{}, fg::Bfloat16Mixed{});
  if (!precision.empty() || config.contains("amp16"))
    throw std::runtime_error("no precision is known as " + precision);
  return run<Model>(config, fg::ManualOptimization{});
}

}  // namespace

Outcome run_manual(const Json& config) {
  if (accumulates(config) || clipping_of(config).kind != AnyClip::Kind::none) {
    throw std::runtime_error("manual optimization accumulates and clips by itself");
  }
  if (config.at("mode") == "manual_gan") return run_manually<Manual<GanNet, gan>>(config);
  if (!has_lbfgs(config)) return run_manually<Manual<MlpNet, one>>(config);
  if (config.contains("scaler")) throw std::runtime_error("LBFGS takes no loss scale");
  return run<Manual<MlpNet, lbfgs>>(config, fg::ManualOptimization{});
}

}  // namespace parity::golden
