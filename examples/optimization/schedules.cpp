// SPDX-License-Identifier: MIT
// Learning-rate schedules: advanced by the trainer at their intervals, or by the model itself.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstdint>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor compute_loss(const fg::Example& batch) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
};

// [automatic]
struct Scheduled : Regression {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
  void validation_step(const fg::Example& batch, auto& step) { step.log("val_loss", compute_loss(batch)); }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1}))
        // every optimizer step, every fourth one, every second epoch, and after each validation
        .lr_scheduler(fg::LinearWarmup{.steps = 20, .start_factor = 0.1}, fg::EveryStep{})
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.99}, fg::EveryStep{.frequency = 4})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryEpoch{.frequency = 2})
        .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 2, .threshold = 0.01});
  }
};
// [/automatic]

struct ByHand : Regression {
  void train(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(compute_loss(batch));
    optimizer.step();
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1})).lr_scheduler(fg::ExponentialLR{.gamma = 0.99});
  }
};

// [every-batch]
struct EveryBatch : ByHand {
  void training_step(const fg::Example& batch, auto& step) {
    train(batch, step);  // forward, backward and optimization
    step.lr_schedulers().step();
  }
};
// [/every-batch]

// [several]
struct TwoSchedules : ByHand {
  void training_step(const fg::Example& batch, auto& step) {
    train(batch, step);
    auto [decay, drop] = step.lr_schedulers();
    decay.step();
    if (step.is_last_batch()) drop.step();
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1}))
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.99})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};
// [/several]

// [every-n]
struct EveryN : ByHand {
  static constexpr std::int64_t n = 2;

  void training_step(const fg::Example& batch, auto& step) {
    train(batch, step);
    auto schedule = step.lr_schedulers();

    // step every n batches
    if ((step.batch_index() + 1) % n == 0) schedule.step();

    // step every n epochs
    if (step.is_last_batch() && (step.epoch() + 1) % n == 0) schedule.step();
  }
};
// [/every-n]

// [epoch-end]
struct AtEpochEnd : ByHand {
  void training_step(const fg::Example& batch, auto& step) {
    train(batch, step);
    step.log("loss", compute_loss(batch), fg::on_epoch);
  }
  void on_train_epoch_end(auto& step) {
    step.lr_schedulers().step(step.metrics().value("loss").value());  // the epoch's mean
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1}))
        .lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 1});
  }
};
// [/epoch-end]

/// The learning rate after some epochs of eight batches.
template <class Model, class... Policies>
double last_lr(std::int64_t epochs, const Policies&... policies) {
  torch::manual_seed(0);
  Model model;
  fg::Trainer trainer{model, policies..., fg::MaxEpochs{epochs}};
  const auto batches = problem::plane();
  if constexpr (sizeof...(Policies) > 0) {
    trainer.fit(batches);
  } else {
    trainer.fit(batches, batches);
  }
  return trainer.optimizer().lr(0);
}

int main() {
  const auto near = [](double lr, double expected) { return std::abs(lr / expected - 1) < 1e-6; };
  const fg::ManualOptimization by_hand;
  problem::check(
      near(last_lr<Scheduled>(4), 0.1 * std::pow(0.99, 8) * std::pow(0.5, 2)),
      "a warm-up by steps, a decay by four steps and a drop by two epochs; the plateau is still to come");
  problem::check(last_lr<Scheduled>(30) < 0.6 * 0.1 * std::pow(0.99, 60) * std::pow(0.5, 15),
                 "then it comes");
  problem::check(near(last_lr<EveryBatch>(4, by_hand), 0.1 * std::pow(0.99, 32)), "by hand, every batch");
  problem::check(near(last_lr<TwoSchedules>(4, by_hand), 0.1 * std::pow(0.99, 32) * std::pow(0.5, 4)),
                 "two schedules by hand, each at its own time");
  problem::check(near(last_lr<EveryN>(4, by_hand), 0.1 * std::pow(0.99, 16 + 2)),
                 "every second batch, and every second epoch");
  problem::check(last_lr<AtEpochEnd>(1, by_hand) == 0.1,
                 "at epoch end, by the epoch's mean: one epoch is no plateau");
  problem::check(last_lr<AtEpochEnd>(40, by_hand) < 0.06, "forty are");
  return problem::outcome();
}
