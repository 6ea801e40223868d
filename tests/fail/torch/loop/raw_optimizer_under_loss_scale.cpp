// SPDX-License-Identifier: MIT
// EXPECT: the raw optimizer does not know that a loss scale \(fg::Float16Mixed\) multiplies its gradients
// EXPECT: See docs/errors/loss-scale\.md
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(2, 1));
  torch::Tensor training_step(const fg::Example& batch, auto&) { return line->forward(batch.data).sum(); }
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.unsafe_raw().step();
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

int main() {
  Line model;
  fg::Trainer trainer{model, fg::Float16Mixed{}};
  trainer.loop().step(fg::Example{});
}
