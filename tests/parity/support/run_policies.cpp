// SPDX-License-Identifier: MIT
// Golden traces of one optimizer in automatic optimization, through the library's own accumulation and
// clipping policies.
#include <torch/torch.h>

#include "golden_automatic.hpp"
#include "golden_run.hpp"

namespace parity::golden {

Outcome run_policies(const Json& config) {
  using Model = Single<MlpNet, Shape{}>;
  const AnyClip clip = clipping_of(config);
  const auto with_accumulation = [&](auto accumulation) {
    if (clip.kind == AnyClip::Kind::norm)
      return run<Model>(config, accumulation, fg::ClipNorm{.max = clip.max});
    if (clip.kind == AnyClip::Kind::value)
      return run<Model>(config, accumulation, fg::ClipValue{.max = clip.max});
    return run<Model>(config, accumulation, fg::NoClipping{});
  };
  const auto accumulation = accumulation_of(config);
  if (accumulation.stages.size() == 1 && accumulation.stages[0].from_epoch == 0) {
    if (accumulation.stages[0].batches == 1) return with_accumulation(fg::NoAccumulation{});
    if (accumulation.stages[0].batches == 4) {
      return with_accumulation(fg::Accumulate<4>{.partial = fg::PartialWindow::full_divisor});
    }
  }
  return with_accumulation(accumulation);
}

}  // namespace parity::golden
