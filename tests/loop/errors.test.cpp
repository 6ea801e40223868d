// SPDX-License-Identifier: MIT
#include <fulgurite/loop/errors.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("a non-finite loss names epoch, batch and gradient") {
  const fg::NonFiniteLoss error(2, 5, std::numeric_limits<double>::infinity(), "net.0.weight");
  CHECK_THAT(error.what(), ContainsSubstring("the loss is inf in epoch 2, batch 5; first non-finite gradient: net.0.weight"));
  CHECK(error.epoch() == 2);
  CHECK(error.batch() == 5);
  CHECK(error.gradient() == "net.0.weight");
}
