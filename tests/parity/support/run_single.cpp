// SPDX-License-Identifier: MIT
// Golden traces of one optimizer in automatic optimization, through policies that are chosen when the program
// runs.
#include <torch/torch.h>

#include <set>
#include <stdexcept>
#include <string>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

constexpr Shape plain{.schedules = 3, .plateaus = 2};
constexpr Shape skipping{.skips = true, .schedules = 3, .plateaus = 2};
constexpr Shape lbfgs{.reevaluates = true, .schedules = 3, .plateaus = 2};

}  // namespace

Outcome run_single(const Json& config) {
  static const std::set<std::string> zero_programs{"zero_even", "zero_keep"};
  const auto program = config.value("program", "plain");
  if (has_lbfgs(config)) {
    if (accumulates(config)) throw std::runtime_error("LBFGS does not accumulate");
    if (program == "plain") return run<Single<MlpNet, lbfgs>>(config, clipping_of(config));
    if (overrides_step(program))
      return run<OverridesStep<Single<MlpNet, lbfgs>>>(config, clipping_of(config));
  } else {
    if (program == "plain") return run_with_any_policies<Single<MlpNet, plain>>(config);
    if (program == "skip_none") return run_with_any_policies<Single<MlpNet, skipping>>(config);
    if (overrides_step(program))
      return run_with_any_policies<OverridesStep<Single<MlpNet, plain>>>(config);
    if (zero_programs.contains(program))
      return run_with_any_policies<OverridesZeroGrad<Single<MlpNet, plain>>>(config);
    if (program == "clip_own") return run_with_any_policies<OverridesClipping<Single<MlpNet, plain>>>(config);
  }
  throw std::runtime_error("the program " + program + " is not known here");
}

}  // namespace parity::golden
