// SPDX-License-Identifier: MIT
#include <fulgurite/optim/lion.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Lion has the numbers of its formula") {
  const auto o = GENERATE(fg::LionOptions{.lr = 0.01}, fg::LionOptions{.lr = 0.01, .weight_decay = 1.0},
                          fg::LionOptions{.lr = 0.01, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double) {
    if (o.maximize) g = -g;
    auto& m = memory["m"];
    p.mul_(1 - o.lr * o.weight_decay);
    p.sub_(o.lr * (o.betas.first * m + (1 - o.betas.first) * g).sign());
    m = o.betas.second * m + (1 - o.betas.second) * g;
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Lion(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("Lion keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Lion(std::move(p), {.lr = 0.01, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true});
  });
}

TEST_CASE("schedules drive Lion's first beta") {
  fg::Lion optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().betas.first == 0.8);
}

TEST_CASE("Lion refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Lion({p}, {.lr = -0.1}), "fulgurite: Lion needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Lion({p}, {.betas = {1.0, 0.5}}), "fulgurite: Lion needs betas in [0, 1)");
}
