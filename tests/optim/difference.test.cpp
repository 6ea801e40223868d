// SPDX-License-Identifier: MIT
// The measure by which the other tests of this folder compare an optimizer with its formula.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <vector>

#include "optim/support.hpp"

namespace {

/// Adds a number to every element at each step, another one from step `from` on.
struct Adds {
  support::Parameters parameters;
  double value = 0.0;
  int from = 0;
  double then = 0.0;
  int steps = 0;

  void step() {
    const torch::NoGradGuard no_grad;
    for (auto& parameter : parameters) parameter.add_(steps >= from ? then : value);
    ++steps;
  }
};

double apart(double ours, double theirs, int from = 0) {
  return support::difference(
      [&](support::Parameters& p) {
        return Adds{p, 1.0, from, ours};
      },
      [&](support::Parameters& p) {
        return Adds{p, 1.0, from, theirs};
      });
}

}  // namespace

TEST_CASE("two optimizers with the same numbers are not apart, others are") {
  CHECK(apart(1.0, 1.0) == 0.0);
  CHECK(apart(1.0, 1.001) > 1e-5);
  CHECK(apart(1.0, 1.001, 49) > 1e-5);  // in the last step
}

TEST_CASE("numbers that are not finite are apart from every number, and from each other") {
  const double nan = std::numeric_limits<double>::quiet_NaN(), infinite = std::numeric_limits<double>::infinity();
  for (const int from : {0, 49}) {
    CHECK_FALSE(apart(nan, 1.0, from) < 1e-12);
    CHECK_FALSE(apart(1.0, nan, from) < 1e-12);
    CHECK_FALSE(apart(nan, nan, from) < 1e-12);
    CHECK_FALSE(apart(infinite, 1.0, from) < 1e-12);
    CHECK_FALSE(apart(1.0, infinite, from) < 1e-12);
  }
}
