// SPDX-License-Identifier: MIT
// EXPECT: needs a model that is a torch::nn::Module
// EXPECT: See docs/errors/frozen\.md
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Model {
  torch::Tensor weight = torch::ones({2}).set_requires_grad(true);
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return (batch * weight).mean(); }
  auto configure_optimizers() { return fg::SGD(std::vector<torch::Tensor>{weight}, {.lr = 0.1}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
}
