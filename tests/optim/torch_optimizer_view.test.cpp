// SPDX-License-Identifier: MIT
#include <fulgurite/optim/torch_optimizer_view.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/fulgurite.hpp>

#include <optional>
#include <vector>

namespace fg = fulgurite;

namespace {
std::vector<torch::Tensor> parameters() { return {torch::zeros(1).requires_grad_()}; }

template <class O>
double momentum_after_one_cycle(O optimizer) {
  auto schedule = fg::schedule(optimizer, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 10});
  schedule.step();
  schedule.step();
  CHECK(fg::TorchOptimizerView(optimizer).lr(0) == 1.0);
  return fg::TorchOptimizerView(optimizer).momentum(0);
}
}  // namespace

TEST_CASE("a schedule drives one of LibTorch's optimizers where it is") {
  torch::optim::Adagrad optimizer(parameters(), torch::optim::AdagradOptions(1.0));
  auto schedule = fg::schedule(optimizer, fg::StepLR{.step_size = 1, .gamma = 0.5});
  schedule.step();
  CHECK(optimizer.param_groups()[0].options().get_lr() == 0.5);
  torch::optim::Optimizer& base = optimizer;
  auto plateau = fg::schedule(base, fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0});
  plateau.step(1.0);
  plateau.step(1.0);
  CHECK(optimizer.param_groups()[0].options().get_lr() == 0.25);
}

TEST_CASE("a schedule drives the momentum of those that have one") {
  CHECK(momentum_after_one_cycle(torch::optim::SGD(parameters(), 0.1)) == 0.85);
  CHECK(momentum_after_one_cycle(torch::optim::Adam(parameters())) == 0.85);
  CHECK(momentum_after_one_cycle(torch::optim::AdamW(parameters())) == 0.85);
  CHECK(momentum_after_one_cycle(torch::optim::RMSprop(parameters())) == 0.85);
  torch::optim::Adagrad without(parameters());
  CHECK(fg::TorchOptimizerView(without).momentum(0) == 0.0);
  CHECK_THROWS_WITH(fg::schedule(without, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 10}),
                    "fulgurite: this schedule drives the momentum, but the optimizer has none: set .momentum_range = "
                    "std::nullopt, or use an optimizer with momentum");
  CHECK_NOTHROW(fg::schedule(without, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 10, .momentum_range = std::nullopt}));
}

TEST_CASE("each parameter group has its own rate") {
  torch::optim::SGD optimizer({torch::optim::OptimizerParamGroup(parameters()), torch::optim::OptimizerParamGroup(parameters())},
                              torch::optim::SGDOptions(0.1));
  auto schedule = fg::schedule(optimizer, fg::OneCycleLR{.max_lr = {1.0, 2.0}, .total_steps = 10});
  schedule.step();
  schedule.step();
  CHECK(schedule.last_lr(0) == 1.0);
  CHECK(schedule.last_lr(1) == 2.0);
}

TEST_CASE("a schedule drives our own optimizers without a trainer") {
  fg::AdamW optimizer(parameters(), {.lr = 1.0});
  auto schedule = fg::schedule(optimizer, fg::LinearWarmup{.steps = 2, .start_factor = 0.5}.then(fg::ExponentialLR{.gamma = 0.5}));
  CHECK(optimizer.lr(0) == 0.5);
  for (int step = 0; step < 3; ++step) schedule.step();
  CHECK(optimizer.lr(0) == 0.5);
}
