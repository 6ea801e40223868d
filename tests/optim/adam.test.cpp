// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adam.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "optim/support.hpp"

namespace fg = fulgurite;
using Parameters = std::vector<torch::Tensor>;

TEST_CASE("Adam has torch::optim::Adam's numbers") {
  const auto options = GENERATE(fg::AdamOptions{.lr = 0.05}, fg::AdamOptions{.lr = 0.05, .betas = {0.8, 0.99}, .eps = 1e-6},
                                fg::AdamOptions{.lr = 0.05, .weight_decay = 0.1},
                                fg::AdamOptions{.lr = 0.05, .amsgrad = true});
  CHECK(support::difference([&](Parameters& p) { return fg::Adam(p, options); },
                            [&](Parameters& p) {
                              return torch::optim::Adam(p, torch::optim::AdamOptions(options.lr)
                                                               .betas({options.betas.first, options.betas.second})
                                                               .eps(options.eps)
                                                               .weight_decay(options.weight_decay)
                                                               .amsgrad(options.amsgrad));
                            }) < 1e-12);
}

TEST_CASE("a parameter without gradient keeps its value and its state") {
  auto a = torch::ones({2}, torch::kDouble).requires_grad_();
  auto b = torch::ones({2}, torch::kDouble).requires_grad_();
  fg::Adam both({a, b}, {.lr = 0.1});
  auto c = torch::ones({2}, torch::kDouble).requires_grad_();
  fg::Adam alone({c}, {.lr = 0.1});
  for (int step = 0; step < 6; ++step) {
    const auto gradient = torch::full({2}, 1.0 + step, torch::kDouble);
    a.mutable_grad() = gradient;
    step % 2 == 0 ? b.mutable_grad() = gradient : (b.mutable_grad().reset(), torch::Tensor());
    if (step % 2 == 0) {
      c.mutable_grad() = gradient;
      alone.step();
    }
    both.step();
  }
  CHECK(b.equal(c));
  CHECK_FALSE(a.equal(b));
}

TEST_CASE("Adam's momentum is its first beta") {
  auto p = torch::ones({2}).requires_grad_();
  fg::Adam adam({p}, {});
  adam.set_momentum(0, 0.8);
  CHECK(adam.momentum(0) == 0.8);
  CHECK(adam.options().betas == fg::Betas{0.8, 0.999});
  CHECK_THROWS_WITH(fg::Adam({p}, {.betas = {1.0, 0.999}}), "fulgurite: Adam needs betas in [0, 1)");
}
