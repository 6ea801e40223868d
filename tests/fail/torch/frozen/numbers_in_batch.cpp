// SPDX-License-Identifier: MIT
// EXPECT: needs batches of nothing but tensors
// EXPECT: See docs/errors/frozen\.md
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const std::pair<torch::Tensor, double>& batch, auto&) {
    return layer->forward(batch.first).mean() * batch.second;
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
  trainer.fit(std::vector<std::pair<torch::Tensor, double>>{{torch::ones({4, 2}), 0.5}});
}
