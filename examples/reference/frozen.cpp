// SPDX-License-Identifier: MIT
// A frozen training beside an eager one: the same parameters, bit for bit.
#include <fulgurite/frozen.hpp>
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

/// The loss after one pass on a tape.
double taped(const std::vector<fg::Example>& batches) {
  torch::manual_seed(1);
  nn::Sequential net{nn::Linear(16, 32), nn::ReLU(), nn::Linear(32, 4)};
  fg::AdamW optimizer(net->parameters(), {.lr = 3e-3});
  auto x = batches[0].data.clone();
  auto y = batches[0].target.clone();
  // [tape]
  const auto step = [&] {
    optimizer.zero_grad();
    auto loss = nn::functional::cross_entropy(net->forward(x), y);
    loss.backward();
    optimizer.gradients().clip_norm(1.0);
    optimizer.step();
    return loss;
  };
  step();  // makes what later steps find: optimizer state
  const auto tape = fg::Tape::record(step, {x, y}, net->parameters());
  for (const auto& batch : batches) {
    x.copy_(batch.data);
    y.copy_(batch.target);
    tape.replay();
  }
  // [/tape]
  std::cout << "a tape of " << tape.size() << " operators\n";
  return tape.result().item<double>();
}

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
  if (!(taped(batches) < 2.0)) return 1;
  return torch::equal(trained(fg::Eager{}, batches), trained(fg::Frozen{.strict = true}, batches)) ? 0 : 1;
}
