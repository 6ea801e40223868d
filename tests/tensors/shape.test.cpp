// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/shape.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("a shape reads as in PyTorch") {
  CHECK(fulgurite::detail::shape_of(torch::zeros({2, 3})) == "[2, 3]");
  CHECK(fulgurite::detail::shape_of(torch::zeros({})) == "[]");
}

TEST_CASE("what a tensor is: its format and shape, and its device if it is not on the host") {
  using fulgurite::detail::kind_of;
  CHECK(kind_of(torch::zeros({2, 3})) == "Float [2, 3]");
  CHECK(kind_of(torch::zeros({2}, torch::kLong)) == "Long [2]");
  CHECK(kind_of(torch::empty({}, torch::kMeta)) == "Float [] on meta");
  CHECK(kind_of(torch::Tensor()) == "undefined");
}
