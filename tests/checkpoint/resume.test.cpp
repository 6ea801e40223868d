// SPDX-License-Identifier: MIT
// One optimizer: a run that was saved anywhere and loaded elsewhere is, bit for bit, the run that never stopped.
#include "support/resume.hpp"

#include <fulgurite/callbacks.hpp>
#include <fulgurite/optim.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers.hpp>

namespace {

namespace fg = fulgurite;
using resume::require_resumes;
using resume::require_resumes_anywhere;

struct OneCycleSgd : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.1, .momentum = 0.9, .nesterov = true}))
        .lr_scheduler(fg::OneCycleLR{.max_lr = 0.2, .total_steps = 40}, fg::EveryStep{});
  }
};

TEST_CASE("a run with SGD, one cycle by steps and shuffled batches goes on where it was saved") {
  require_resumes_anywhere<OneCycleSgd>([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{3}}; });
}

struct PlateauAdamW : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW({{first->parameters(), {.lr = 0.03}}, {second->parameters(), {.lr = 0.01}}}))
        .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 0, .threshold = 0.1})
        .lr_scheduler(fg::ReduceLROnPlateau<"train_loss">{.factor = 0.9, .patience = 1}, fg::EveryStep{.frequency = 2});
  }
};

TEST_CASE("windows, plateaus, averages and early stopping go on where they were saved") {
  require_resumes_anywhere<PlateauAdamW>([](auto& model) {
    return fg::Trainer{model, fg::Accumulate<3>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{3},
                       fg::ValidateEvery{.interval = fg::Batches{3}}, fg::EMAWeightAveraging{.decay = 0.8},
                       fg::EarlyStopping<"val_loss">{.patience = 100}};
  });
}

struct Weighted : resume::Net {
  fg::WeightedLoss<torch::Tensor> training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(forward(batch.data), batch.target, torch::Reduction::Sum);
    step.log("train_loss", loss, fg::on_step | fg::on_epoch);
    return {loss, static_cast<double>(1 + step.batch_index() % 3)};
  }
  auto configure_optimizers() { return fg::optimizer(fg::AdamW(parameters(), {.lr = 0.01, .amsgrad = true})); }
};

TEST_CASE("an open window of weighted losses goes on where it was saved") {
  require_resumes_anywhere<Weighted>([](auto& model) { return fg::Trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{3}}; });
}

struct Stops : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05})).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.8});
  }
};

TEST_CASE("a stop that waits for its epoch, and its patience, go on where they were saved") {
  for (const std::int64_t after : {16, 20, 24, 30}) {
    require_resumes<Stops>(after, [](auto& model) {
      return fg::Trainer{model, fg::MaxEpochs{9}, fg::MinEpochs{5}, fg::EarlyStopping<"val_loss">{.patience = 1, .min_delta = 9.0}};
    });
  }
}

TEST_CASE("a request to stop in the batch that saved still ends the epoch as it would have") {
  for (const std::int64_t after : {12, 13}) {
    require_resumes<Stops>(after, [](auto& model) {
      return fg::Trainer{model, fg::MaxSteps{13}, fg::Accumulate<1>{}};
    });
  }
}

TEST_CASE("stochastic weight averaging goes on where it was saved") {
  for (const std::int64_t after : {4, 12, 16, 21, 24}) {
    require_resumes<Stops>(after, [](auto& model) {
      return fg::Trainer{model, fg::MaxEpochs{4},
                         fg::StochasticWeightAveraging{.lr = 0.01, .start = fg::EpochNumber{2}, .annealing_epochs = 2}};
    });
  }
}

struct LibTorchAdam : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(torch::optim::Adam(parameters(), 0.01)).lr_scheduler(fg::CosineAnnealingLR{.t_max = 20}, fg::EveryStep{});
  }
};

TEST_CASE("LibTorch's own optimizers go on where they were saved") {
  require_resumes_anywhere<LibTorchAdam>([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{3}}; });
}

struct Quadratic : resume::Net {
  auto configure_optimizers() { return fg::LBFGS(second->parameters(), {.lr = 0.5, .max_iter = 3}); }
};

TEST_CASE("LBFGS goes on where it was saved") {
  require_resumes_anywhere<Quadratic>([](auto& model) { return fg::Trainer{model, fg::MaxEpochs{3}}; });
}

}  // namespace
