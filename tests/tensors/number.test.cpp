// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/number.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

namespace fg = fulgurite;

TEST_CASE("a number is read from a tensor of any format") {
  CHECK(fg::Number(torch::tensor(1.5f)).value() == 1.5);
  CHECK(fg::Number(torch::tensor({2.5}, torch::kDouble)).value() == 2.5);
  CHECK(fg::Number(torch::tensor(0.5f).to(torch::kBFloat16)).value() == 0.5);
  CHECK(fg::Number(torch::tensor(7)).value() == 7.0);
  CHECK_THROWS_WITH(fg::Number(torch::ones({2})),
                    "fulgurite: step.log takes a tensor with one element, and this one has 2: log its mean() or sum()");
}
