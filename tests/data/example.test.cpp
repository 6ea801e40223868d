// SPDX-License-Identifier: MIT
// An example is LibTorch's own, so that its data sets and loaders need no adapter.
#include <fulgurite/data/example.hpp>

#include <concepts>

#include <catch2/catch_test_macros.hpp>

TEST_CASE("an example is what LibTorch's loaders hand out") {
  STATIC_CHECK(std::same_as<fulgurite::Example, torch::data::Example<at::Tensor, at::Tensor>>);
}
