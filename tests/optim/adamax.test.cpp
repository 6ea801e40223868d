// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adamax.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Adamax has the numbers of its formula") {
  const auto o = GENERATE(fg::AdamaxOptions{.lr = 0.05},
                          fg::AdamaxOptions{.lr = 0.05, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    g = g + o.weight_decay * p;
    auto& m = memory["m"];
    auto& u = memory["u"];
    m = o.betas.first * m + (1 - o.betas.first) * g;
    u = torch::maximum(o.betas.second * u, g.abs() + o.eps);
    p.sub_(o.lr / (1 - std::pow(o.betas.first, t)) * m / u);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Adamax(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("Adamax keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Adamax(std::move(p), {.lr = 0.05, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true});
  });
}

TEST_CASE("schedules drive Adamax's first beta") {
  fg::Adamax optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().betas.first == 0.8);
}

TEST_CASE("Adamax refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Adamax({p}, {.lr = -0.1}), "fulgurite: Adamax needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Adamax({p}, {.eps = -1.0}), "fulgurite: Adamax needs an eps of 0 or more");
}
