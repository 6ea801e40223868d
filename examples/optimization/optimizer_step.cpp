// SPDX-License-Identifier: MIT
// The optimizer_step hook: steps at arbitrary intervals, and a learning-rate warm-up by hand.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <stdexcept>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Networks : nn::Module {
  nn::Linear generator = register_module("generator", nn::Linear(4, 2));
  nn::Linear discriminator = register_module("discriminator", nn::Linear(2, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/, auto index) {
    auto fake = generator->forward(torch::randn({batch.data.size(0), 4}));
    auto judged = discriminator->forward(fake);
    if (index == 0) return nn::functional::softplus(-judged).mean();
    return nn::functional::softplus(-discriminator->forward(batch.data)).mean() +
           nn::functional::softplus(judged).mean();
  }
};

// [alternating]
struct Alternating : Networks {
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    // update the generator in every batch
    if (optimizer.index() == 0) optimizer.step(closure);

    // update the discriminator in every second batch
    if (optimizer.index() == 1) {
      if ((step.batch_index() + 1) % 2 == 0) {
        optimizer.step(closure);  // runs the closure, and with it training_step
      } else {
        closure();  // training_step and backward without an optimizer step
      }
    }
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::SGD(generator->parameters(), {.lr = 0.01}),
                          fg::SGD(discriminator->parameters(), {.lr = 0.01}));
  }
};
// [/alternating]

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
};

// [warm-up]
struct WarmUp : Regression {
  double learning_rate = 0.05;

  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    // raise the rate over the first 500 steps
    if (step.global_step() < 500) {
      const double scale = std::min(1.0, static_cast<double>(step.global_step() + 1) / 500.0);
      optimizer.set_lr(scale * learning_rate);  // of all parameter groups
    }
    optimizer.step(closure);
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = learning_rate}); }
};
// [/warm-up]

// [schedule]
struct WarmUpBySchedule : Regression {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05}))
        .lr_scheduler(fg::LinearWarmup{.steps = 499, .start_factor = 1.0 / 500}, fg::EveryStep{});
  }
};
// [/schedule]

struct Forgetful : WarmUp {
  void optimizer_step(auto& /*optimizer*/, auto&& /*closure*/, auto& /*step*/) {}
};

int main() {
  {
    Alternating model;
    fg::Trainer trainer{model, fg::LimitBatches{.train = fg::Batches{1}}, fg::MaxEpochs{1}};
    const auto generator = model.generator->weight.detach().clone();
    const auto discriminator = model.discriminator->weight.detach().clone();
    trainer.fit(problem::circle());
    problem::check(!generator.equal(model.generator->weight), "the first batch steps the generator");
    problem::check(discriminator.equal(model.discriminator->weight), "and leaves the discriminator");
    trainer.set_limit(fg::LimitBatches{.train = fg::Batches{2}});
    trainer.set_limit(fg::MaxEpochs{2});
    trainer.fit(problem::circle());
    problem::check(!discriminator.equal(model.discriminator->weight), "the second batch steps both");
  }
  {
    torch::manual_seed(0);
    WarmUp model;
    fg::Trainer trainer{model, fg::MaxSteps{250}};
    trainer.fit(problem::plane());
    problem::check(std::abs(trainer.optimizer().lr(0) - 0.025) < 1e-12,
                   "half of the warm-up: half of the rate");
    trainer.set_limit(fg::MaxSteps{600});
    trainer.fit(problem::plane());
    problem::check(trainer.optimizer().lr(0) == 0.05, "after it the rate is the whole one");

    torch::manual_seed(0);
    WarmUpBySchedule scheduled;
    fg::Trainer second{scheduled, fg::MaxSteps{250}};
    second.fit(problem::plane());
    second.set_limit(fg::MaxSteps{600});
    second.fit(problem::plane());
    problem::check(model.line->weight.allclose(scheduled.line->weight),
                   "a schedule warms up in the same way");
  }
  {
    Forgetful model;
    bool refused = false;
    try {
      fg::Trainer{model, fg::MaxSteps{1}}.fit(problem::plane());
    } catch (const std::logic_error& error) {
      std::cout << error.what() << '\n';
      refused = true;
    }
    problem::check(refused, "a closure that is never run is an error");
  }
  return problem::outcome();
}
