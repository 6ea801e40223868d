// SPDX-License-Identifier: MIT
// Manual optimization: the model zeroes, differentiates and steps; precision and device are still the
// library's.
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
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};

// [model]
struct MyModel : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    auto loss = compute_loss(batch);
    step.manual_backward(loss);
    optimizer.step();
  }
};
// [/model]

struct Automatic : Regression {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
};

int main() {
  const auto batches = problem::plane();

  torch::manual_seed(0);
  // [fit]
  MyModel model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{5}};
  trainer.fit(batches);
  // [/fit]

  torch::manual_seed(0);
  Automatic automatic;
  fg::Trainer{automatic, fg::MaxEpochs{5}}.fit(batches);

  problem::check(trainer.progress().global_step == 40, "a step by hand counts");
  problem::check(problem::same(model, automatic),
                 "by hand and automatically: the same parameters, bit for bit");
  return problem::outcome();
}
