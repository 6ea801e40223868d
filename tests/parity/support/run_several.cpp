// SPDX-License-Identifier: MIT
// Golden traces of several optimizers in automatic optimization.
#include <torch/torch.h>

#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

constexpr Shape of(std::size_t optimizers, bool skips = false) {
  return {.optimizers = optimizers, .skips = skips, .schedules = 2, .plateaus = 1};
}

}  // namespace

Outcome run_several(const Json& config) {
  static const std::set<std::string> clip_programs{"clip_only_opt0", "clip_per_opt", "clip_own"};
  const auto program = config.value("program", "plain");
  const auto count = config.at("optimizers").size();
  if (config.at("mode") == "auto_gan") {
    if (program == "plain" && count == 2) return run_with_any_policies<Several<GanNet, of(2)>>(config);
  } else if (count == 2) {
    if (program == "plain") return run_with_any_policies<Several<MlpNet, of(2)>>(config);
    if (program.starts_with("skip_none")) return run_with_any_policies<Several<MlpNet, of(2, true)>>(config);
    if (overrides_step(program))
      return run_with_any_policies<OverridesStep<Several<MlpNet, of(2)>>>(config);
    if (clip_programs.contains(program))
      return run_with_any_policies<OverridesClipping<Several<MlpNet, of(2)>>>(config);
  } else if (count == 3) {
    if (program == "plain") return run_with_any_policies<Several<MlpNet, of(3)>>(config);
    if (overrides_step(program))
      return run_with_any_policies<OverridesStep<Several<MlpNet, of(3)>>>(config);
  }
  throw std::runtime_error("the program " + program + " with " + std::to_string(count) +
                           " optimizers is not known here");
}

}  // namespace parity::golden
