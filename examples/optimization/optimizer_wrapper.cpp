// SPDX-License-Identifier: MIT
// The wrapped optimizer that hooks and step.optimizers() give, and the optimizer inside it.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor compute_loss(const fg::Example& batch) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return fg::Adam(parameters(), {.lr = 1e-2}); }
};

// [wrapper]
struct Wrapped : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(compute_loss(batch));
    optimizer.step();  // with precision, loss scale, hooks and counting
    step.log("lr", optimizer.lr());
    step.log("steps", optimizer.step_count());
  }
};
// [/wrapper]

// [raw]
struct Raw : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(compute_loss(batch));
    fg::Adam& adam = optimizer.unsafe_raw();  // the optimizer that configure_optimizers returned
    adam.step();                              // no hook, no count, and no loss scale: refused under one
  }
};
// [/raw]

// [raw-in-hook]
struct RawInHook : Regression {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
  void optimizer_step(auto& optimizer, auto&& closure, auto& /*step*/) {
    closure();
    optimizer.unsafe_raw().step();
  }
};
// [/raw-in-hook]

int main() {
  const auto batches = problem::plane();
  torch::manual_seed(0);
  Wrapped wrapped;
  fg::Trainer through{wrapped, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  through.fit(batches);
  problem::check(through.progress().global_step == 8 && *through.metric("steps") == 8,
                 "a wrapped step counts");

  torch::manual_seed(0);
  Raw raw;
  fg::Trainer around{raw, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  around.fit(batches);
  problem::check(around.progress().global_step == 0, "a raw step does not");
  problem::check(problem::same(wrapped, raw), "the update is the same");

  torch::manual_seed(0);
  RawInHook in_hook;
  fg::Trainer hooked{in_hook, fg::MaxEpochs{1}};
  hooked.fit(batches);
  problem::check(hooked.progress().global_step == 8, "automatically, the hook is what counts");
  problem::check(problem::same(wrapped, in_hook), "and its update is the same");
  return problem::outcome();
}
