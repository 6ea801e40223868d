// SPDX-License-Identifier: MIT
// Logging: what training and validation log, and who reads it.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <algorithm>
#include <cmath>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

// [model]
struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));
  double worst_epoch = 0;

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto error = line->forward(batch.data) - batch.target;
    auto loss = error.square().mean();
    step.log("loss", loss, fg::prog_bar | fg::on_epoch);                             // the epoch's mean
    step.log_dict({{"error", error.abs().mean()}, {"largest", error.abs().max()}});  // of each batch
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("val_loss", nn::functional::mse_loss(line->forward(batch.data), batch.target), fg::prog_bar);
  }
  void on_train_epoch_end(auto& step) {
    worst_epoch = std::max(worst_epoch, step.metrics().value("loss").value());
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};
// [/model]

int main() {
  const auto batches = problem::plane();
  Regression model;
  // [fit]
  fg::Trainer trainer{model, fg::ProgressBar{}, fg::MaxEpochs{10}};
  trainer.fit(batches, batches);
  const double loss = trainer.metric("loss").value();
  const bool unknown = trainer.metric("accuracy").has_value();  // nobody logged it
  // [/fit]
  const double val_loss = trainer.metric("val_loss").value();
  problem::check(!unknown && std::isfinite(loss), "metrics are read by their names");
  problem::check(val_loss < loss, "the epoch's mean is that of the epoch, validation comes after it");
  problem::check(model.worst_epoch > loss, "hooks read them too");
  problem::check(trainer.metric("largest") >= trainer.metric("error"), "several are logged at once");
  return problem::outcome();
}
