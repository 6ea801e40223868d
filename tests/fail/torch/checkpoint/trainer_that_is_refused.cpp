// SPDX-License-Identifier: MIT
// EXPECT: fg::Trainer was given something that is no policy
// EXPECT: See docs/errors/no-policy\.md
#include <torch/nn/modules/linear.h>
#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, 3};
  fg::save_checkpoint(trainer, "run.ckpt");
  fg::load_checkpoint(trainer, "run.ckpt");
}
