// SPDX-License-Identifier: MIT
// EXPECT: a checkpoint cannot keep a value of this type
// EXPECT: See docs/errors/checkpoint-value\.md
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

#include <map>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
  std::map<int, int> counts;
  void on_save_checkpoint(auto& checkpoint) { checkpoint("counts", counts); }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("counts", counts); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  fg::save_checkpoint(trainer, "run.ckpt");
}
