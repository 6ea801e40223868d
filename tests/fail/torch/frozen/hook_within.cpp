// SPDX-License-Identifier: MIT
// EXPECT: fg::Frozen cannot repeat the hooks
// EXPECT: See docs/errors/frozen\.md
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
  void on_after_backward(auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
  trainer.fit(std::vector<torch::Tensor>{torch::ones({4, 2})});
}
