// SPDX-License-Identifier: MIT
#include <fulgurite/frozen.hpp>
#include <fulgurite/fulgurite.hpp>

#include <iostream>
#include <vector>

namespace fg = fulgurite;

struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(3, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(line->forward(batch.data), batch.target);
    step.log("loss", loss);
    return loss;
  }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 0.1}); }
};

int main() {
  torch::manual_seed(0);
  std::vector<fg::Example> batches;
  for (int i = 0; i < 20; ++i) {
    auto inputs = torch::randn({8, 3});
    batches.push_back({inputs, inputs.sum(1, true)});
  }
  Line model;
  fg::Trainer trainer{model, fg::Frozen{.strict = true}, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{20}};
  trainer.fit(batches);
  std::cout << trainer << ": loss " << *trainer.metric("loss") << '\n';
  return trainer.metric("loss") < 1e-2 && !trainer.frozen().refusal() ? 0 : 1;
}
