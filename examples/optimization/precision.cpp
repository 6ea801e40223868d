// SPDX-License-Identifier: MIT
// Float16Mixed with its loss scale in every mode: automatic with accumulation and clipping, several
// optimizers, manual.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor compute_loss(const fg::Example& batch) {
    auto predicted = line->forward(batch.data);  // in float16, under autocast
    return nn::functional::mse_loss(predicted.to(torch::kFloat), batch.target);
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.02}); }
};

// [automatic]
struct Automatic : Regression {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
};
// [/automatic]

// [manual]
struct Manual : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    step.manual_backward(compute_loss(batch) / 2);  // multiplies by the loss scale
    if ((step.batch_index() + 1) % 2 == 0) {
      step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5});  // clips the true gradients
      optimizer.step();                                          // leaves out a step that overflowed
      optimizer.zero_grad();
    }
  }
};
// [/manual]

// [several]
struct Several : nn::Module {
  nn::Linear a = register_module("a", nn::Linear(4, 1));
  nn::Linear b = register_module("b", nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/, auto index) {
    auto predicted = (index == 0 ? a : b)->forward(batch.data);
    return nn::functional::mse_loss(predicted.to(torch::kFloat), batch.target);
  }
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(fg::SGD(a->parameters(), {.lr = 0.02})).clip(fg::ClipNorm{.max = 0.5}),
        fg::optimizer(fg::AdamW(b->parameters(), {.lr = 0.02})));
  }
};
// [/several]

int main() {
  const auto batches = problem::plane();

  torch::manual_seed(0);
  Automatic model;
  // [trainer]
  fg::Trainer trainer{model, fg::Float16Mixed{.initial_scale = 1024}, fg::Accumulate<2>{},
                      fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{20}};
  trainer.fit(batches);
  const double scale = trainer.loss_scale().scale();
  const auto overflowed =
      trainer.progress().skipped_steps;  // they advance neither global_step nor a schedule
  // [/trainer]
  problem::check(scale == 1024 && overflowed == 0, "nothing overflowed");
  problem::check(trainer.progress().global_step == 80, "windows of two batches");

  torch::manual_seed(0);
  Manual manual;
  fg::Trainer by_hand{manual, fg::Float16Mixed{.initial_scale = 1024}, fg::ManualOptimization{},
                      fg::MaxEpochs{20}};
  by_hand.fit(batches);
  problem::check(
      by_hand.progress().global_step == 80 && model.line->weight.allclose(manual.line->weight, 1e-4, 1e-5),
      "accumulated and clipped by hand: the same training");

  torch::manual_seed(0);
  Several several;
  // [overflow]
  fg::Trainer two{several, fg::Float16Mixed{.initial_scale = 1e8},
                  fg::MaxEpochs{5}};  // far too large at first
  two.fit(batches);
  const bool recovered = two.progress().skipped_steps > 0 && two.loss_scale().scale() < 1e8;
  // [/overflow]
  problem::check(
      recovered && two.progress().global_step > 0 &&
          two.progress().global_step + two.progress().skipped_steps == 80,
      "with two optimizers an overflow is skipped, and the scale falls until the training goes on");
  problem::check(
      several.a->weight.isfinite().all().item<bool>() && several.b->weight.isfinite().all().item<bool>(),
      "nothing that is not finite reached a parameter");
  return problem::outcome();
}
