// SPDX-License-Identifier: MIT
// A frozen training beside an eager one: the same parameters, bit for bit.
#include <fulgurite/fulgurite.hpp>

#include <torch/torch.h>

#include <iostream>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Classifier : nn::Module {
  nn::Sequential net = register_module("net", nn::Sequential{nn::Linear(16, 32), nn::ReLU(), nn::Dropout(0.1), nn::Linear(32, 4)});

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = nn::functional::cross_entropy(net->forward(batch.data), batch.target);
    step.log("train_loss", loss);
    return loss;
  }
  auto configure_optimizers() { return fg::optimizer(fg::AdamW(parameters(), {.lr = 3e-3})); }
};

torch::Tensor trained(auto execution, const std::vector<fg::Example>& batches) {
  torch::manual_seed(1);
  Classifier model;
  fg::Trainer trainer{model, execution, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{3}};
  trainer.fit(batches);
  std::cout << execution << ": loss " << *trainer.metric("train_loss") << '\n';
  return nn::utils::parameters_to_vector(model.parameters()).detach();
}

int main() {
  torch::manual_seed(0);
  std::vector<fg::Example> batches;
  for (int i = 0; i < 16; ++i) {
    const auto data = torch::randn({32, 16});
    batches.emplace_back(data, torch::randint(4, {32}));
  }
  Classifier model;
  // [frozen]
  fg::Trainer trainer{model, fg::Frozen{}, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{3}};
  trainer.fit(batches);
  // [/frozen]
  return torch::equal(trained(fg::Eager{}, batches), trained(fg::Frozen{.strict = true}, batches)) ? 0 : 1;
}
