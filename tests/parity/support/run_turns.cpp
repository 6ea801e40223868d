// SPDX-License-Identifier: MIT
// Golden traces of several optimizers that take turns.
#include <torch/torch.h>

#include <cstddef>
#include <set>
#include <stdexcept>
#include <string>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

namespace {

constexpr Shape of(std::size_t optimizers) {
  return {.optimizers = optimizers, .turns = true, .schedules = 2, .plateaus = 1};
}

}  // namespace

Outcome run_turns(const Json& config) {
  static const std::set<std::string> step_programs{"warmup", "every_n", "own_optimizer", "closure_first"};
  const auto program = config.value("program", "plain");
  const auto count = config.at("optimizers").size();
  const AnyClip clip = clipping_of(config);
  if (accumulates(config)) throw std::runtime_error("optimizers that take turns do not accumulate");
  if (config.at("mode") == "auto_gan") {
    if (program == "plain" && count == 2) return run<Several<GanNet, of(2)>>(config, clip);
  } else {
    if (program == "plain" && count == 2) return run<Several<MlpNet, of(2)>>(config, clip);
    if (program == "plain" && count == 3) return run<Several<MlpNet, of(3)>>(config, clip);
    if (step_programs.contains(program) && count == 2)
      return run<OverridesStep<Several<MlpNet, of(2)>>>(config, clip);
  }
  throw std::runtime_error("the program " + program + " with " + std::to_string(count) +
                           " optimizers is not known here");
}

}  // namespace parity::golden
