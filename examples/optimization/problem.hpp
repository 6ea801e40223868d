// SPDX-License-Identifier: MIT
// What the examples of this folder train on: few points, so that each runs in a moment.
#pragma once

#include <torch/torch.h>

#include <cstdint>
#include <iostream>
#include <string_view>

#include <fulgurite/data/tensor_batches.hpp>

namespace problem {

namespace data = fulgurite::data;

/// A noisy plane over four inputs: 8 batches of 8.
inline data::TensorBatches plane() {
  torch::manual_seed(1);
  const auto inputs = torch::randn({64, 4});
  const auto noise = torch::randn({64, 1});
  const auto slopes = torch::tensor({1.0F, -2.0F, 0.5F, 3.0F}).unsqueeze(1);
  return data::TensorBatches(inputs, inputs.matmul(slopes) + 1 + 0.1 * noise, {.batch_size = 8});
}

/// Points around the circle of radius 2: what a small GAN is to imitate. 8 batches of 16.
inline data::TensorBatches circle() {
  torch::manual_seed(2);
  const auto angle = 6.2832F * torch::rand({128, 1});
  return data::TensorBatches(2 * torch::cat({angle.cos(), angle.sin()}, 1), torch::zeros({128}),
                             {.batch_size = 16});
}

inline bool all_hold = true;

/// Prints what was to be shown, and whether it holds.
inline void check(bool holds, std::string_view what) {
  std::cout << (holds ? "yes: " : "NO:  ") << what << '\n';
  all_hold = all_hold && holds;
}

/// For main: 1 if something did not hold.
inline int outcome() {
  return all_hold ? 0 : 1;
}

/// Whether two models have the same parameters, bit for bit.
inline bool same(const torch::nn::Module& a, const torch::nn::Module& b) {
  const auto first = a.parameters();
  const auto second = b.parameters();
  for (std::size_t i = 0; i < first.size(); ++i) {
    if (!first[i].equal(second[i])) return false;
  }
  return first.size() == second.size();
}

}  // namespace problem
