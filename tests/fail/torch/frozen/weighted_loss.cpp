// SPDX-License-Identifier: MIT
// EXPECT: needs a training_step that returns the loss itself
// EXPECT: See docs/errors/frozen\.md
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  auto training_step(const torch::Tensor& batch, auto&) { return fg::weighted(layer->forward(batch).sum(), batch.size(0)); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
  trainer.fit(std::vector<torch::Tensor>{torch::ones({4, 2})});
}
