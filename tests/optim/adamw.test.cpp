// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adamw.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "optim/support.hpp"

namespace fg = fulgurite;
using Parameters = std::vector<torch::Tensor>;

TEST_CASE("AdamW has torch::optim::AdamW's numbers") {
  const auto options = GENERATE(fg::AdamWOptions{.lr = 0.05}, fg::AdamWOptions{.lr = 0.05, .weight_decay = 0.2},
                                fg::AdamWOptions{.lr = 0.05, .amsgrad = true});
  CHECK(support::difference([&](Parameters& p) { return fg::AdamW(p, options); },
                            [&](Parameters& p) {
                              return torch::optim::AdamW(p, torch::optim::AdamWOptions(options.lr)
                                                                .weight_decay(options.weight_decay)
                                                                .amsgrad(options.amsgrad));
                            }) < 1e-12);
}

TEST_CASE("AdamW refuses a negative weight decay") {
  auto p = torch::ones({2}).requires_grad_();
  CHECK_THROWS_WITH(fg::AdamW({p}, {.weight_decay = -1.0}), "fulgurite: AdamW needs a weight_decay of 0 or more");
}
