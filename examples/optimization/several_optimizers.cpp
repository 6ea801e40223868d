// SPDX-License-Identifier: MIT
// Several optimizers: a GAN by hand, the same automatically, with schedules, and in turn.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstdint>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Networks : nn::Module {
  nn::Sequential generator =
      register_module("generator", nn::Sequential{nn::Linear(4, 16), nn::ReLU(), nn::Linear(16, 2)});
  nn::Sequential discriminator =
      register_module("discriminator", nn::Sequential{nn::Linear(2, 16), nn::ReLU(), nn::Linear(16, 1)});

  torch::Tensor sample(std::int64_t count) { return generator->forward(torch::randn({count, 4})); }
  static torch::Tensor criterion(const torch::Tensor& judged, double label) {
    return nn::functional::binary_cross_entropy_with_logits(judged, torch::full_like(judged, label));
  }
};

// [manual]
struct SimpleGan : Networks {
  void training_step(const fg::Example& batch, auto& step) {
    auto [g_opt, d_opt] = step.optimizers();
    auto fake = sample(batch.data.size(0));

    // Optimize the discriminator
    auto real_loss = criterion(discriminator->forward(batch.data), 1);
    auto fake_loss = criterion(discriminator->forward(fake.detach()), 0);
    auto d_loss = real_loss + fake_loss;
    d_opt.zero_grad();
    step.manual_backward(d_loss);
    d_opt.step();

    // Optimize the generator
    auto g_loss = criterion(discriminator->forward(fake), 1);
    g_opt.zero_grad();
    step.manual_backward(g_loss);
    g_opt.step();

    step.log_dict({{"g_loss", g_loss}, {"d_loss", d_loss}}, fg::prog_bar);
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::Adam(generator->parameters(), {.lr = 1e-2}),
                          fg::Adam(discriminator->parameters(), {.lr = 1e-2}));
  }
};
// [/manual]

// [automatic]
struct Gan : Networks {
  torch::Tensor training_step(const fg::Example& batch, auto& step, fg::OptimizerIndex<0>) {  // the generator
    auto loss = criterion(discriminator->forward(sample(batch.data.size(0))), 1);
    step.log("g_loss", loss, fg::prog_bar);
    return loss;
  }
  torch::Tensor training_step(const fg::Example& batch, auto& step,
                              fg::OptimizerIndex<1>) {  // the discriminator
    auto fake = sample(batch.data.size(0)).detach();
    auto loss = criterion(discriminator->forward(batch.data), 1) + criterion(discriminator->forward(fake), 0);
    step.log("d_loss", loss, fg::prog_bar);
    return loss;
  }
};
// [/automatic]

// [no-schedules]
struct TwoOptimizers : Gan {
  auto configure_optimizers() {
    return fg::optimizers(fg::Adam(generator->parameters(), {.lr = 1e-2}),
                          fg::SGD(discriminator->parameters(), {.lr = 0.1}));
  }
};
// [/no-schedules]

// [one-schedule]
struct OneSchedule : Gan {
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(fg::Adam(generator->parameters(), {.lr = 1e-2}))
                              .lr_scheduler(fg::ReduceLROnPlateau<"g_loss">{.factor = 0.5, .patience = 2}),
                          fg::SGD(discriminator->parameters(), {.lr = 0.1}));
  }
};
// [/one-schedule]

// [two-schedules]
struct TwoSchedules : Gan {
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(fg::Adam(generator->parameters(), {.lr = 1e-2})).lr_scheduler(fg::StepLR{.step_size = 5}),
        fg::optimizer(fg::SGD(discriminator->parameters(), {.lr = 0.1}))
            .lr_scheduler(fg::OneCycleLR{.max_lr = 0.1, .total_steps = 80}, fg::EveryStep{}));
  }
};
// [/two-schedules]

// [turns]
struct InTurn : Gan {
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(fg::Adam(generator->parameters(), {.lr = 1e-2})).frequency(fg::Batches{1}),  // one batch,
        fg::optimizer(fg::Adam(discriminator->parameters(), {.lr = 1e-2}))
            .frequency(fg::Batches{3}));  // then three
  }
};
// [/turns]

int main() {
  const auto batches = problem::circle();
  {
    SimpleGan model;
    fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{10}};
    trainer.fit(batches);
    problem::check(trainer.progress().global_step == 160, "by hand: two steps a batch");
    problem::check(trainer.metric("d_loss").has_value(), "both losses were logged");
  }
  {
    TwoOptimizers model;
    fg::Trainer trainer{model, fg::MaxEpochs{10}};
    trainer.fit(batches);
    // [counts]
    const auto all = trainer.progress().global_step;                 // the steps of all optimizers
    const auto second = trainer.step_count(fg::optimizer_index<1>);  // those of one
    // [/counts]
    problem::check(all == 160 && second == 80, "automatically: each optimizer steps in every batch");
  }
  {
    OneSchedule model;
    fg::Trainer trainer{model, fg::MaxEpochs{10}};
    trainer.fit(batches);
    problem::check(trainer.optimizer(fg::optimizer_index<1>).lr(0) == 0.1, "only the first has a schedule");
  }
  {
    TwoSchedules model;
    fg::Trainer trainer{model, fg::MaxEpochs{10}};
    trainer.fit(batches);
    problem::check(trainer.optimizer(fg::optimizer_index<0>).lr(0) < 1.1e-4 &&
                       trainer.optimizer(fg::optimizer_index<1>).lr(0) < 1e-4,
                   "each follows its own schedule");
  }
  {
    InTurn model;
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    trainer.fit(batches);
    problem::check(
        trainer.step_count(fg::optimizer_index<0>) == 2 && trainer.step_count(fg::optimizer_index<1>) == 6,
        "in turn: one batch for the generator, three for the discriminator");
  }
  return problem::outcome();
}
