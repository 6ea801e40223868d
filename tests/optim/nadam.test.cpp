// SPDX-License-Identifier: MIT
#include <fulgurite/optim/nadam.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("NAdam has the numbers of its formula") {
  const auto o = GENERATE(
      fg::NAdamOptions{.lr = 0.05}, fg::NAdamOptions{.lr = 0.05, .weight_decay = 0.1, .maximize = true},
      fg::NAdamOptions{.lr = 0.05, .weight_decay = 0.1, .momentum_decay = 0.1, .decoupled_weight_decay = true},
      fg::NAdamOptions{.lr = 0.05, .weight_decay = 1.0, .decoupled_weight_decay = true, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    if (o.decoupled_weight_decay) {
      p.mul_(1 - o.lr * o.weight_decay);
    } else {
      g = g + o.weight_decay * p;
    }
    auto& m = memory["m"];
    auto& v = memory["v"];
    m = o.betas.first * m + (1 - o.betas.first) * g;
    v = o.betas.second * v + (1 - o.betas.second) * g * g;
    const auto mu = [&](double at) { return o.betas.first * (1 - 0.5 * std::pow(0.96, at * o.momentum_decay)); };
    auto& product = memory["product"];  // in float32, as Python keeps it
    product =
        ((t == 1.0 ? torch::ones_like(p) : product).to(torch::kFloat) * static_cast<float>(mu(t))).to(torch::kDouble);
    const auto denominator = (v / (1 - std::pow(o.betas.second, t))).sqrt() + o.eps;
    p.sub_(o.lr * (1 - mu(t)) / (1 - product) * g / denominator);
    p.sub_(o.lr * mu(t + 1) / (1 - product * mu(t + 1)) * m / denominator);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::NAdam(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }, 20) < 1e-12);
}

TEST_CASE("NAdam keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::NAdam(std::move(p),
                     {.lr = 0.05, .weight_decay = 0.1, .momentum_decay = 0.1, .decoupled_weight_decay = true});
  });
}

TEST_CASE("schedules drive NAdam's first beta") {
  fg::NAdam optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().betas.first == 0.8);
}

TEST_CASE("NAdam refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::NAdam({p}, {.lr = -0.1}), "fulgurite: NAdam needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::NAdam({p}, {.momentum_decay = -1.0}), "fulgurite: NAdam needs a momentum_decay of 0 or more");
}
