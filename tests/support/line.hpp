// SPDX-License-Identifier: MIT
// The smallest model on tensors, and batches for it.
#pragma once

#include <fulgurite/data/example.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <torch/torch.h>

#include <vector>

namespace support {

/// A line through points of the plane. What a step is stands in the tests.
struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(2, 1));

  torch::Tensor loss_of(const fulgurite::Example& batch) { return torch::mse_loss(line->forward(batch.data), batch.target); }
  auto configure_optimizers() { return fulgurite::SGD(parameters(), {.lr = 0.1}); }
};

inline std::vector<fulgurite::Example> batches(int count = 3) {
  std::vector<fulgurite::Example> all;
  for (int i = 0; i < count; ++i) all.emplace_back(torch::randn({4, 2}), torch::randn({4, 1}));
  return all;
}

}  // namespace support
