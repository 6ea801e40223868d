// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adadelta.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Adadelta has the numbers of its formula") {
  const auto o = GENERATE(fg::AdadeltaOptions{},
                          fg::AdadeltaOptions{.lr = 0.5, .rho = 0.8, .weight_decay = 0.1, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double) {
    if (o.maximize) g = -g;
    g = g + o.weight_decay * p;
    auto& squares = memory["squares"];
    auto& updates = memory["updates"];
    squares = o.rho * squares + (1 - o.rho) * g * g;
    const auto delta = (updates + o.eps).sqrt() / (squares + o.eps).sqrt() * g;
    updates = o.rho * updates + (1 - o.rho) * delta * delta;
    p.sub_(o.lr * delta);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Adadelta(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("Adadelta rounds as PyTorch does: the ratio of the roots first, then its product with the gradient") {
  for (const double gradient : {3.0, 5.0, 7.0, 11.0, 13.0}) {
    auto p = torch::zeros({1}, torch::kDouble).requires_grad_();
    p.mutable_grad() = torch::full({1}, gradient, torch::kDouble);
    fg::Adadelta adadelta({p}, {.lr = 1.0, .rho = 0.5});
    adadelta.step();
    CHECK(p.item<double>() == -(std::sqrt(1e-6) / std::sqrt(0.5 * gradient * gradient + 1e-6) * gradient));
  }
}

TEST_CASE("Adadelta keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Adadelta(std::move(p), {.lr = 0.5, .rho = 0.8, .weight_decay = 0.1, .maximize = true});
  });
}

TEST_CASE("Adadelta refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Adadelta({p}, {.lr = -0.1}), "fulgurite: Adadelta needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Adadelta({p}, {.rho = 1.5}), "fulgurite: Adadelta needs a rho in [0, 1]");
}
