// SPDX-License-Identifier: MIT
// What the programs train, with a trainer and by hand. Who includes this has included LibTorch.
#pragma once

#include <cstdint>
#include <cstdlib>

namespace problem {

namespace nn = torch::nn;

inline constexpr std::int64_t batch_size = 32, batches = 16, epochs = 2;

/// The width of the net: the program's argument, or 128.
inline std::int64_t width(int argc, char** argv) { return argc > 1 ? std::atoi(argv[1]) : 128; }

/// Seeded random examples; one thread from then on.
struct Data {
  Data() {
    torch::set_num_threads(1);
    torch::manual_seed(0);
    inputs = torch::randn({batch_size * batches, 64});
    targets = torch::randint(10, {batch_size * batches}, torch::kLong);
  }

  torch::Tensor inputs, targets;
};

struct Classifier : nn::Module {
  explicit Classifier(std::int64_t width)
      : net(register_module("net", nn::Sequential{nn::Linear(64, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(),
                                                  nn::Linear(width, 10)})) {}

  nn::Sequential net;
};

}  // namespace problem
