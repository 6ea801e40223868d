// SPDX-License-Identifier: MIT
// EXPECT: needs an optimizer that can skip an overflowed step, and one that re-evaluates its closure \(LBFGS\) cannot
// EXPECT: See docs/errors/loss-scale\.md
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const fg::Example& batch, auto&) { return line->forward(batch.data).sum(); }
  auto configure_optimizers() { return torch::optim::LBFGS(parameters()); }
};

int main() {
  Line model;
  fg::Trainer trainer{model, fg::Float16Mixed{}};
}
