// SPDX-License-Identifier: MIT
// What programs/trainer.hpp trains, as a loop by hand: shared by the programs that have no trainer.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

namespace by_hand {

namespace nn = torch::nn;

inline constexpr std::int64_t batch_size = 32, batches = 16, epochs = 2;

struct Classifier : nn::Module {
  explicit Classifier(std::int64_t width)
      : net(register_module("net", nn::Sequential{nn::Linear(64, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(),
                                                  nn::Linear(width, 10)})) {}

  nn::Sequential net;
};

/// `make_optimizer(parameters)`, and `clip(model, optimizer)` between backward and update.
template <class MakeOptimizer, class Clip>
void train(int argc, char** argv, MakeOptimizer make_optimizer, Clip clip) {
  torch::set_num_threads(1);
  torch::manual_seed(0);
  const torch::Tensor inputs = torch::randn({batch_size * batches, 64});
  const torch::Tensor targets = torch::randint(10, {batch_size * batches}, torch::kLong);

  Classifier model(argc > 1 ? std::atoi(argv[1]) : 128);
  auto optimizer = make_optimizer(model.parameters());
  double train_loss = 0.0;
  for (std::int64_t epoch = 0; epoch < epochs; ++epoch) {
    for (std::int64_t batch = 0; batch < batches; ++batch) {
      const torch::Tensor data = inputs.narrow(0, batch * batch_size, batch_size);
      const torch::Tensor target = targets.narrow(0, batch * batch_size, batch_size);
      const torch::Tensor loss = nn::functional::cross_entropy(model.net->forward(data), target);
      optimizer.zero_grad();
      train_loss = loss.item<double>();
      if (!std::isfinite(train_loss)) throw std::runtime_error("the loss is not finite");
      loss.backward();
      clip(model, optimizer);
      optimizer.step();
    }
  }
  std::printf("train_loss %.4f\n", train_loss);
}

}  // namespace by_hand
