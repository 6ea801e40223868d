// SPDX-License-Identifier: MIT
#include <fulgurite/optim/sgd.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

TEST_CASE("SGD has torch::optim::SGD's numbers") {
  const auto options = GENERATE(fg::SGDOptions{.lr = 0.05}, fg::SGDOptions{.lr = 0.05, .momentum = 0.9},
                                fg::SGDOptions{.lr = 0.05, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.01},
                                fg::SGDOptions{.lr = 0.05, .momentum = 1.0, .dampening = 0.5},
                                fg::SGDOptions{.lr = 0.05, .momentum = 0.9, .weight_decay = 0.01, .nesterov = true});
  CHECK(support::difference([&](Parameters& p) { return fg::SGD(p, options); },
                            [&](Parameters& p) {
                              return torch::optim::SGD(p, torch::optim::SGDOptions(options.lr)
                                                              .momentum(options.momentum)
                                                              .dampening(options.dampening)
                                                              .weight_decay(options.weight_decay)
                                                              .nesterov(options.nesterov));
                            }) < 1e-12);
}

TEST_CASE("a parameter without gradient keeps its value and starts its momentum later") {
  auto a = torch::ones({2}, torch::kDouble).requires_grad_();
  auto b = torch::ones({2}, torch::kDouble).requires_grad_();
  fg::SGD sgd({a, b}, {.lr = 1.0, .momentum = 0.5});
  a.mutable_grad() = torch::ones({2}, torch::kDouble);
  sgd.step();
  CHECK(b.equal(torch::ones({2}, torch::kDouble)));
  b.mutable_grad() = torch::ones({2}, torch::kDouble);
  sgd.step();
  CHECK(a.equal(torch::full({2}, 1.0 - 1.0 - 1.5, torch::kDouble)));
  CHECK(b.equal(torch::zeros({2}, torch::kDouble)));  // its first step: the buffer is the gradient
}

TEST_CASE("parameter groups have options of their own") {
  auto a = torch::ones({1}).requires_grad_();
  auto b = torch::ones({1}).requires_grad_();
  fg::SGD sgd({{{a}, {.lr = 0.1}}, {{b}, {.lr = 0.2}}});
  a.mutable_grad() = torch::ones({1});
  b.mutable_grad() = torch::ones({1});
  sgd.set_lr(1, 0.5);
  sgd.step();
  CHECK(sgd.group_count() == 2);
  CHECK(a.item<float>() == 0.9f);
  CHECK(b.item<float>() == 0.5f);
}

TEST_CASE("SGD refuses what it cannot train, and says why") {
  auto p = torch::ones({2}).requires_grad_();
  CHECK_THROWS_WITH(fg::SGD({p}, {.lr = -0.1}), "fulgurite: SGD needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::SGD(Parameters{}, {}),
                    "fulgurite: SGD was given an empty parameter list: a module's parameters() holds those of its own that are "
                    "registered, so write register_module(\"name\", module) for each module in it, and "
                    "register_parameter(\"name\", tensor) for each tensor");
  CHECK_THROWS_WITH(fg::SGD({p, p}, {}),
                    "fulgurite: SGD was given a parameter twice (numbers 0 and 1): name it once, in one group");
  CHECK_THROWS_WITH(fg::SGD({p * 2}, {}),
                    "fulgurite: SGD was given a tensor that an operator made (number 0): give it the parameters themselves");
  const char* needs_momentum = "fulgurite: SGD needs momentum and no dampening for nesterov";
  CHECK_THROWS_WITH(fg::SGD({p}, {.nesterov = true}), needs_momentum);
  CHECK_THROWS_WITH(fg::SGD({p}, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}), needs_momentum);
}

TEST_CASE("a gradient laid out otherwise than its parameter is applied where it belongs") {
  auto p = torch::zeros({2, 3}).requires_grad_();
  p.mutable_grad() = torch::arange(6.0f).reshape({3, 2}).t();
  fg::SGD sgd({p}, {.lr = 1.0});
  sgd.step();
  CHECK(p.equal(-torch::arange(6.0f).reshape({3, 2}).t()));
}

TEST_CASE("SGD keeps the laws of optimizers") {
  const auto options = GENERATE(fg::SGDOptions{.lr = 0.05},
                                fg::SGDOptions{.lr = 0.05, .momentum = 0.9, .dampening = 0.1, .weight_decay = 0.1});
  support::keeps_the_laws([&](Parameters p) { return fg::SGD(std::move(p), options); });
}

TEST_CASE("a momentum that a schedule turns on starts from the gradient") {
  auto p = torch::zeros({1}).requires_grad_();
  fg::SGD sgd({p}, {.lr = 1.0});
  for (const double momentum : {0.0, 0.5, 0.5}) {
    p.mutable_grad() = torch::ones({1});
    sgd.set_momentum(0, momentum);
    sgd.step();
  }
  CHECK(p.item<float>() == -1.0f - 1.0f - 1.5f);
}
