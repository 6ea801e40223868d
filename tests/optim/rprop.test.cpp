// SPDX-License-Identifier: MIT
#include <fulgurite/optim/rprop.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>
#include <initializer_list>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("Rprop has the numbers of its formula") {
  const auto o =
      GENERATE(fg::RpropOptions{},
               fg::RpropOptions{.lr = 0.05, .etas = {0.3, 1.5}, .step_sizes = {1e-3, 0.1}, .maximize = true});
  const auto formula = [&](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    auto& previous = memory["previous"];
    auto& size = memory["size"];
    if (t == 1.0) size.fill_(o.lr);
    const auto sign = g * previous;
    const auto factor = torch::ones_like(g).masked_fill(sign > 0, o.etas[1]).masked_fill(sign < 0, o.etas[0]);
    size = (size * factor).clamp(o.step_sizes[0], o.step_sizes[1]);
    previous = torch::where(sign < 0, torch::zeros_like(g), g);
    p.sub_(previous.sign() * size);
  };
  CHECK(support::difference([&](Parameters& p) { return fg::Rprop(p, o); },
                            [&](Parameters& p) { return support::reference(p, formula); }) < 1e-12);
}

TEST_CASE("Rprop keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Rprop(std::move(p), {.lr = 0.05, .etas = {0.3, 1.5}, .step_sizes = {1e-3, 0.1}, .maximize = true});
  });
}

TEST_CASE("Rprop refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Rprop({p}, {.lr = -0.1}), "fulgurite: Rprop needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Rprop({p}, {.etas = {1.5, 1.2}}), "fulgurite: Rprop needs etas in (0, 1) and above 1");
}

TEST_CASE("Rprop's step sizes are clamped after they have changed, to the largest if that is below the least") {
  const auto step_size_after = [](fg::RpropOptions options, std::initializer_list<double> gradients) {
    auto p = torch::zeros({1}, torch::kDouble).requires_grad_();
    fg::Rprop rprop({p}, options);
    for (const double gradient : gradients) {
      p.mutable_grad() = torch::full({1}, gradient, torch::kDouble);
      rprop.step();
    }
    const auto state = rprop.state_dict().toGenericDict().at("state").toGenericDict().at(0).toGenericDict();
    return state.at("step_size").toTensor().item<double>();
  };
  CHECK(step_size_after({.lr = 1.0, .step_sizes = {0.75, 50.0}}, {1.0, -1.0}) == 0.75);
  CHECK(step_size_after({.lr = 1.0, .step_sizes = {0.75, 1.125}}, {1.0, 1.0}) == 1.125);
  CHECK(step_size_after({.lr = 1.0, .step_sizes = {0.5, 0.25}}, {1.0}) == 0.25);  // as at::clamp does
}
