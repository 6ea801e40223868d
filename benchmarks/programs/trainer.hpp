// SPDX-License-Identifier: MIT
// A user's program: one model, one trainer. Beside by_hand.cpp, what is asked is how long it takes to compile it and how much
// memory it takes to run it: compare.py. Who includes this has included LibTorch and what it needs of Fulgurite.
#pragma once

#include <cstdio>

#include "problem.hpp"

namespace with_trainer {

namespace fg = fulgurite;

struct Classifier : problem::Classifier {
  using problem::Classifier::Classifier;

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::nn::functional::cross_entropy(net->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::on_step);
    return loss;
  }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 1e-3}); }
};

inline void train(int argc, char** argv) {
  const problem::Data data;
  Classifier model(problem::width(argc, argv));
  fg::Trainer trainer{model, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{problem::epochs}};
  trainer.fit(fg::data::TensorBatches{data.inputs, data.targets, {.batch_size = problem::batch_size}});
  std::printf("train_loss %.4f\n", trainer.metric("train_loss").value_or(0.0));
}

}  // namespace with_trainer
