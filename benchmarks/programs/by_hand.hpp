// SPDX-License-Identifier: MIT
// What programs/trainer.hpp trains, as a loop by hand: shared by the programs that have no trainer.
#pragma once

#include <torch/torch.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <stdexcept>

#include "problem.hpp"

namespace by_hand {

/// `make_optimizer(parameters)`, and `clip(model, optimizer)` between backward and update.
template <class MakeOptimizer, class Clip>
void train(int argc, char** argv, MakeOptimizer make_optimizer, Clip clip) {
  const problem::Data examples;
  problem::Classifier model(problem::width(argc, argv));
  auto optimizer = make_optimizer(model.parameters());
  double train_loss = 0.0;
  for (std::int64_t epoch = 0; epoch < problem::epochs; ++epoch) {
    for (std::int64_t batch = 0; batch < problem::batches; ++batch) {
      const torch::Tensor data = examples.inputs.narrow(0, batch * problem::batch_size, problem::batch_size);
      const torch::Tensor target = examples.targets.narrow(0, batch * problem::batch_size, problem::batch_size);
      const torch::Tensor loss = torch::nn::functional::cross_entropy(model.net->forward(data), target);
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
