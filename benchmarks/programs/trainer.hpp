// SPDX-License-Identifier: MIT
// A user's program: one model, one trainer. Beside by_hand.cpp, what is asked is how long it takes to compile it and how much
// memory it takes to run it: compare.py. Who includes this has included what it needs of Fulgurite.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace with_trainer {

namespace fg = fulgurite;
namespace nn = torch::nn;

inline constexpr std::int64_t batch_size = 32, batches = 16, epochs = 2;

struct Classifier : nn::Module {
  explicit Classifier(std::int64_t width)
      : net(register_module("net", nn::Sequential{nn::Linear(64, width), nn::ReLU(), nn::Linear(width, width), nn::ReLU(),
                                                  nn::Linear(width, 10)})) {}

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = nn::functional::cross_entropy(net->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_step);
    return loss;
  }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 1e-3}); }

  nn::Sequential net;
};

inline void train(int argc, char** argv) {
  torch::set_num_threads(1);
  torch::manual_seed(0);
  const torch::Tensor inputs = torch::randn({batch_size * batches, 64});
  const torch::Tensor targets = torch::randint(10, {batch_size * batches}, torch::kLong);

  Classifier model(argc > 1 ? std::atoi(argv[1]) : 128);
  fg::Trainer trainer{model, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{epochs}};
  trainer.fit(fg::data::TensorBatches{inputs, targets, {.batch_size = batch_size}});
  std::printf("train_loss %.4f\n", trainer.metric("train_loss").value_or(0.0));
}

}  // namespace with_trainer
