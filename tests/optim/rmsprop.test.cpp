// SPDX-License-Identifier: MIT
#include <fulgurite/optim/rmsprop.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>
#include <utility>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("RMSprop has the numbers of its formula") {
  const auto o =
      GENERATE(fg::RMSpropOptions{}, fg::RMSpropOptions{.weight_decay = 0.1, .momentum = 0.9, .centered = true},
               fg::RMSpropOptions{.centered = true, .maximize = true}, fg::RMSpropOptions{.momentum = 0.5});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double) {
    if (o.maximize) g = -g;
    g = g + o.weight_decay * p;
    auto& squares = memory["squares"];
    auto& mean = memory["mean"];
    auto& buffer = memory["buffer"];
    squares = o.alpha * squares + (1 - o.alpha) * g * g;
    mean = o.alpha * mean + (1 - o.alpha) * g;
    const auto denominator = (o.centered ? squares - mean * mean : squares).sqrt() + o.eps;
    buffer = o.momentum * buffer + g / denominator;
    p.sub_(o.lr * buffer);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::RMSprop(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-11);
}

TEST_CASE("RMSprop leaves finite gradients as they are") {
  const auto o = GENERATE(fg::RMSpropOptions{}, fg::RMSpropOptions{.weight_decay = 0.1, .momentum = 0.9, .maximize = true});
  auto p = torch::ones({2, 3}).requires_grad_();
  const auto gradient = torch::tensor({-1e30f, -1.0f, -0.0f, 1e-40f, 3.0f, 1e30f}).view({2, 3});
  p.mutable_grad() = gradient.clone();
  fg::RMSprop optimizer({p}, o);
  for (int step = 0; step < 3; ++step) {
    optimizer.step();
    CHECK(p.grad().equal(gradient));
  }
}

TEST_CASE("RMSprop with an alpha of 1 never takes in a square") {
  auto p = torch::zeros({1}, torch::kDouble).requires_grad_();
  fg::RMSprop optimizer({p}, {.lr = 1.0, .alpha = 1.0, .eps = 0.5});
  p.mutable_grad() = torch::ones({1}, torch::kDouble);
  optimizer.step();
  CHECK(p.item<double>() == -2.0);  // 1 / (0 + eps): the new square weighs 1 - alpha = 0
}

TEST_CASE("RMSprop keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) { return fg::RMSprop(std::move(p), {.momentum = 0.5}); });
}

TEST_CASE("schedules drive RMSprop's momentum") {
  fg::RMSprop optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().momentum == 0.8);
}

TEST_CASE("RMSprop refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::RMSprop({p}, {.lr = -0.1}), "fulgurite: RMSprop needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::RMSprop({p}, {.momentum = -1.0}), "fulgurite: RMSprop needs a momentum of 0 or more");
  CHECK_THROWS_WITH(fg::RMSprop({p}, {.alpha = -1.0}), "fulgurite: RMSprop needs an alpha of 0 or more");
}

TEST_CASE("RMSprop keeps what its options need, and no more") {
  const auto [momentum, centered] =
      GENERATE(std::pair{0.0, false}, std::pair{0.5, false}, std::pair{0.0, true}, std::pair{0.5, true});
  auto p = torch::ones({2, 2}).requires_grad_();
  fg::RMSprop optimizer({p}, {.momentum = momentum, .centered = centered});
  p.mutable_grad() = torch::ones({2, 2});
  optimizer.step();
  const auto state = optimizer.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
  CHECK(state.contains("square_avg"));
  CHECK(state.contains("momentum_buffer") == (momentum > 0.0));
  CHECK(state.contains("grad_avg") == centered);
}
