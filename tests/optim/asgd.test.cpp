// SPDX-License-Identifier: MIT
#include <fulgurite/optim/asgd.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("ASGD has the numbers of its formula") {
  const auto o = GENERATE(
      fg::ASGDOptions{},
      fg::ASGDOptions{.lr = 0.05, .lambd = 1e-2, .alpha = 0.6, .t0 = 4, .weight_decay = 0.1, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    g = g + o.weight_decay * p;
    auto& average = memory["average"];
    const auto rate_at = [&](double step) { return o.lr / std::pow(1 + o.lambd * o.lr * step, o.alpha); };
    const double eta = static_cast<float>(rate_at(t - 1));  // in float32, as Python keeps it
    const double mu = static_cast<float>(1 / std::max(1.0, t - 1 - o.t0));
    p.mul_(1 - o.lambd * eta).sub_(eta * g);
    average = average + mu * (p - average);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::ASGD(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("ASGD keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::ASGD(std::move(p),
                    {.lr = 0.05, .lambd = 1e-2, .alpha = 0.6, .t0 = 4, .weight_decay = 0.1, .maximize = true});
  });
}

TEST_CASE("ASGD refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::ASGD({p}, {.lr = -0.1}), "fulgurite: ASGD needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::ASGD({p}, {.weight_decay = -1.0}), "fulgurite: ASGD needs a weight_decay of 0 or more");
}

TEST_CASE("ASGD averages the parameters from t0 on") {
  const auto p = torch::zeros({1}, torch::kDouble).requires_grad_();
  fg::ASGD asgd({p}, {.lr = 1.0, .lambd = 0.0, .t0 = 1});
  for (int step = 0; step < 4; ++step) {
    p.mutable_grad() = -torch::ones({1}, torch::kDouble);
    asgd.step();
  }
  CHECK(p.item<double>() == 4.0);
  const auto state = asgd.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
  CHECK(state.at("ax").toTensor().item<double>() == 3.5);  // of 3 and 4
}

TEST_CASE("before t0 ASGD's averages are the parameters, from the first step on") {
  auto p = torch::ones({1}, torch::kDouble).requires_grad_();
  fg::ASGD asgd({p}, {.lr = 1.0, .lambd = 1.0, .alpha = 0.0});  // what was there decays at once: p = -gradient
  for (const double gradient : {-0.7, 1e9, -0.3, 1e9, 0.1}) {
    p.mutable_grad() = torch::full({1}, gradient, torch::kDouble);
    asgd.step();
    CHECK(p.item<double>() == -gradient);
    const auto state = asgd.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
    CHECK(state.at("ax").toTensor().equal(p));  // copied: the distance to the last average would be rounded
    CHECK(state.at("mu").toTensor().item<double>() == 1.0);
  }
}
