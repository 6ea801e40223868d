// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adamw.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("AdamW has the numbers of its formula") {
  const auto o =
      GENERATE(fg::AdamWOptions{.lr = 0.05}, fg::AdamWOptions{.lr = 0.05, .weight_decay = 0.2, .maximize = true},
               fg::AdamWOptions{.lr = 0.05, .amsgrad = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    p.mul_(1 - o.lr * o.weight_decay);
    auto& m = memory["m"];
    auto& v = memory["v"];
    m = o.betas.first * m + (1 - o.betas.first) * g;
    v = o.betas.second * v + (1 - o.betas.second) * g * g;
    auto& largest = memory["largest"];
    largest = torch::maximum(largest, v);
    const auto denominator = ((o.amsgrad ? largest : v) / (1 - std::pow(o.betas.second, t))).sqrt() + o.eps;
    p.sub_(o.lr / (1 - std::pow(o.betas.first, t)) * m / denominator);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::AdamW(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("AdamW keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) { return fg::AdamW(std::move(p), {.lr = 0.05, .amsgrad = true}); });
}

TEST_CASE("schedules drive AdamW's first beta") {
  fg::AdamW optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().betas.first == 0.8);
}

TEST_CASE("AdamW refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::AdamW({p}, {.lr = -0.1}), "fulgurite: AdamW needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::AdamW({p}, {.weight_decay = -1.0}), "fulgurite: AdamW needs a weight_decay of 0 or more");
}
