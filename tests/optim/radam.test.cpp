// SPDX-License-Identifier: MIT
#include <fulgurite/optim/radam.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("RAdam has the numbers of its formula") {
  const auto o = GENERATE(fg::RAdamOptions{.lr = 0.05},
                          fg::RAdamOptions{.lr = 0.05, .betas = {0.8, 0.9}, .weight_decay = 0.1, .maximize = true},
                          fg::RAdamOptions{.lr = 0.05, .weight_decay = 0.1, .decoupled_weight_decay = true},
                          fg::RAdamOptions{.lr = 0.05, .weight_decay = 1.0, .decoupled_weight_decay = true});
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
    const double b2t = std::pow(o.betas.second, t);
    const double longest = 2 / (1 - o.betas.second) - 1;
    const double length = longest - 2 * t * b2t / (1 - b2t);
    auto update = m / (1 - std::pow(o.betas.first, t));
    if (length > 5) {
      const double r = std::sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length));
      update = update * r * std::sqrt(1 - b2t) / (v.sqrt() + o.eps);
    }
    p.sub_(o.lr * update);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::RAdam(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("RAdam rectifies from a length above 5 on, and not at 5") {
  const double t = 7.0;
  const auto length_at_t = [&](double beta2) {
    const double power = std::pow(beta2, t);
    return 2.0 / (1.0 - beta2) - 1.0 - 2.0 * t * power / (1.0 - power);
  };
  double beta2 = 0.76780677969242;
  while (length_at_t(beta2) < 5.0) beta2 = std::nextafter(beta2, 1.0);
  REQUIRE(length_at_t(beta2) == 5.0);
  auto p = torch::zeros({1}, torch::kDouble).requires_grad_();
  fg::RAdam radam({p}, {.lr = 1.0, .betas = {0.0, beta2}});
  p.mutable_grad() = torch::ones({1}, torch::kDouble);
  for (int step = 0; step < 7; ++step) radam.step();
  CHECK(p.item<double>() == -7.0);  // every step the gradient itself
}

TEST_CASE("RAdam keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::RAdam(std::move(p), {.lr = 0.05, .weight_decay = 0.1, .decoupled_weight_decay = true});
  });
}

TEST_CASE("schedules drive RAdam's first beta") {
  fg::RAdam optimizer({torch::ones({2, 2}).requires_grad_()}, {});
  optimizer.set_momentum(0, 0.8);
  CHECK(optimizer.momentum(0) == 0.8);
  CHECK(optimizer.options().betas.first == 0.8);
}

TEST_CASE("RAdam refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::RAdam({p}, {.lr = -0.1}), "fulgurite: RAdam needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::RAdam({p}, {.eps = -1.0}), "fulgurite: RAdam needs an eps of 0 or more");
}
