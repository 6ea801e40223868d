// SPDX-License-Identifier: MIT
// Gradient accumulation: by a policy, by a schedule of it, and by hand over batches and over epochs.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstdint>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor compute_loss(const fg::Example& batch) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
  void validation_step(const fg::Example& batch, auto& step) { step.log("val_loss", compute_loss(batch)); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};

// [by-hand]
struct ByHand : Regression {
  static constexpr std::int64_t n = 4;

  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    auto loss = compute_loss(batch);
    step.manual_backward(loss / n);

    // accumulate gradients of n batches
    if ((step.batch_index() + 1) % n == 0) {
      optimizer.step();
      optimizer.zero_grad();
    }
  }
};
// [/by-hand]

// [over-epochs]
struct OverEpochs : Regression {
  static constexpr std::int64_t n = 12;  // an epoch has 8 batches

  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    step.manual_backward(compute_loss(batch) / n);
    if ((step.progress().batches + 1) % n == 0) {  // batches of all epochs
      optimizer.step();
      optimizer.zero_grad();
    }
  }
};
// [/over-epochs]

int main() {
  const auto batches = problem::plane();

  torch::manual_seed(0);
  Regression model;
  // [policy]
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{6}};  // a step every 4 batches, on their mean
  trainer.fit(batches);
  // [/policy]
  problem::check(trainer.progress().global_step == 12, "8 batches an epoch in windows of 4: two steps");

  torch::manual_seed(0);
  ByHand by_hand;
  fg::Trainer{by_hand, fg::ManualOptimization{}, fg::MaxEpochs{6}}.fit(batches);
  problem::check(problem::same(model, by_hand), "by hand and by policy: the same parameters, bit for bit");

  torch::manual_seed(0);
  Regression growing;
  // [schedule]
  fg::AccumulateSchedule windows{
      .stages = {{.from_epoch = 0, .batches = 1}, {.from_epoch = 2, .batches = 4}}};
  fg::Trainer stages{growing, windows, fg::MaxEpochs{4}};
  // [/schedule]
  stages.fit(batches);
  problem::check(stages.progress().global_step == 8 + 8 + 2 + 2,
                 "two epochs of single batches, then windows of 4");

  // The last window of an epoch may be short: 8 batches in windows of 3 are 3, 3 and 2.
  Regression short_windows;
  // [partial]
  fg::Trainer as_lightning{short_windows, fg::Accumulate<3>{.partial = fg::PartialWindow::full_divisor},
                           fg::MaxEpochs{1}};
  // [/partial]
  as_lightning.fit(batches);
  problem::check(as_lightning.progress().global_step == 3, "an epoch's end closes the window that is open");

  torch::manual_seed(0);
  OverEpochs alone;
  fg::Trainer without_validation{alone, fg::ManualOptimization{}, fg::MaxEpochs{6}};
  without_validation.fit(batches);
  torch::manual_seed(0);
  OverEpochs watched;
  // [validated]
  fg::Trainer validated{watched, fg::ManualOptimization{}, fg::MaxEpochs{6}};
  validated.fit(batches, batches);  // a validation touches no gradient
  // [/validated]
  problem::check(validated.progress().global_step == 4, "48 batches, 12 a step");
  problem::check(problem::same(alone, watched), "a validation in the middle of a window changes nothing");
  return problem::outcome();
}
