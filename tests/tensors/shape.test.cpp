// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/shape.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("a shape reads as in PyTorch") {
  CHECK(fulgurite::detail::shape_of(torch::zeros({2, 3})) == "[2, 3]");
  CHECK(fulgurite::detail::shape_of(torch::zeros({})) == "[]");
}
