// SPDX-License-Identifier: MIT
#include <fulgurite/optim/parameters.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/adam.hpp>

namespace fg = fulgurite;

TEST_CASE("a parameter may be in one group only") {
  auto p = torch::ones({2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Adam({{{p}, {}}, {{p}, {}}}),
                    "fulgurite: Adam was given a parameter twice (numbers 0 and 1): name it once, in one group");
}

TEST_CASE("parameters that overlap, are undefined or whole numbers are refused") {
  CHECK_THROWS_WITH(fg::Adam({torch::ones({1}).expand({3}).detach()}, {}),
                    "fulgurite: Adam was given a parameter with gaps or overlaps in its memory (number 0): give it a clone()");
  CHECK_THROWS_WITH(fg::Adam({torch::Tensor()}, {}), "fulgurite: Adam was given an undefined parameter (number 0)");
  CHECK_THROWS_WITH(fg::Adam({torch::ones({2}, torch::kLong)}, {}),
                    "fulgurite: Adam was given a parameter that is not floating-point (number 0): leave it out");
  CHECK_THROWS_WITH(fg::Adam({torch::ones({1}, torch::kLong).expand({3})}, {}),
                    "fulgurite: Adam was given a parameter that is not floating-point (number 0): leave it out");
}

TEST_CASE("a learning rate may be below 0 by a rounding, not by more") {
  fg::Adam adam({torch::ones({2}).requires_grad_()}, {});
  adam.set_lr(0, -9e-13);
  CHECK(adam.lr(0) == 0.0);
  CHECK_THROWS_WITH(adam.set_lr(0, -1e-12),
                    Catch::Matchers::StartsWith("fulgurite: Adam needs a learning rate of 0 or more, and was given -1e-12"));
}
