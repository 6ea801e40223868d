// SPDX-License-Identifier: MIT
// EXPECT: the hook on_load_checkpoint has the wrong shape: write `void on_load_checkpoint\(auto& checkpoint\)`
// EXPECT: See docs/errors/hook-shape\.md
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
  void on_save_checkpoint(auto&) {}
  void on_load_checkpoint() {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  fg::load_checkpoint(trainer, "run.ckpt");
}
