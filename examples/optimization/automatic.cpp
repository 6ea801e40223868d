// SPDX-License-Identifier: MIT
// Automatic optimization, and the loop that it stands for, written out.
#include <torch/torch.h>

#include <optional>

#include "problem.hpp"

// [model]
#include <fulgurite/fulgurite.hpp>
namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05, .momentum = 0.9}))
        .lr_scheduler(fg::StepLR{.step_size = 2});
  }
};
// [/model]

Regression trained_by_the_library(const fg::data::TensorBatches& batches) {
  torch::manual_seed(0);
  // [fit]
  Regression model;
  fg::Trainer trainer{model, fg::MaxEpochs{5}};
  trainer.fit(batches);
  // [/fit]
  problem::check(trainer.progress().global_step == 40, "five epochs of eight batches are 40 steps");
  return model;
}

Regression trained_by_hand(const fg::data::TensorBatches& batches) {
  torch::manual_seed(0);
  // [under-the-hood]
  Regression model;
  fg::SGD optimizer(model.parameters(), {.lr = 0.05, .momentum = 0.9});
  auto schedule = fg::schedule(optimizer, fg::StepLR{.step_size = 2});

  for (int epoch = 0; epoch < 5; ++epoch) {
    for (const auto& batch : batches) {
      auto closure = [&] {
        auto loss = nn::functional::mse_loss(model.line->forward(batch.data), batch.target);  // training_step
        optimizer.zero_grad();
        loss.backward();
      };
      closure();  // an optimizer that re-evaluates (LBFGS) runs it itself, as often as it likes
      optimizer.step();
    }
    schedule.step();
  }
  // [/under-the-hood]
  return model;
}

// [skip]
struct SkipsOutliers : Regression {
  std::optional<torch::Tensor> training_step(const fg::Example& batch, auto& step) {
    if (batch.target.max().item<float>() > 6) return std::nullopt;  // this batch has no gradient
    return Regression::training_step(batch, step);
  }
};
// [/skip]

int main() {
  const auto batches = problem::plane();
  const auto model = trained_by_the_library(batches);
  problem::check(problem::same(model, trained_by_hand(batches)),
                 "the library and the loop by hand agree bit for bit");

  SkipsOutliers skips;
  fg::Trainer trainer{skips, fg::MaxEpochs{1}};
  trainer.fit(batches);
  problem::check(!problem::same(model, skips), "a batch may be left out");
  return problem::outcome();
}
