// SPDX-License-Identifier: MIT
// EXPECT: need a model that is a torch::nn::Module
// EXPECT: See docs/errors/checkpoint-model\.md
#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Model {
  torch::Tensor weight = torch::ones({1}, torch::requires_grad());
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return (batch * weight).mean(); }
  auto configure_optimizers() { return fg::SGD({weight}, {.lr = 0.1}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  fg::save_checkpoint(trainer, "run.ckpt");
}
