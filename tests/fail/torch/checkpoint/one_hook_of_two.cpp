// SPDX-License-Identifier: MIT
// EXPECT: a model or callback has one of on_save_checkpoint and on_load_checkpoint: write both
// EXPECT: See docs/errors/checkpoint-hooks\.md
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
  void on_save_checkpoint(auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  fg::save_checkpoint(trainer, "run.ckpt");
}
