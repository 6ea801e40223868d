// SPDX-License-Identifier: MIT
#include <fulgurite/averaging/mean.hpp>

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <sstream>

#include "support/problems.hpp"

namespace fg = fulgurite;

static_assert(fg::Mean<fg::EqualMean> && fg::Mean<fg::ExponentialMean> && !fg::Mean<int>);

TEST_CASE("the newest of n + 1 equal updates counts 1 / (n + 1)") {
  STATIC_CHECK(fg::EqualMean{}.weight(1) == 0.5);
  STATIC_CHECK(fg::EqualMean{}.weight(3) == 0.25);
}

TEST_CASE("an exponential mean forgets at its decay, sooner while it warms up") {
  STATIC_CHECK(fg::ExponentialMean{.decay = 0.75}.weight(1) == 0.25);
  STATIC_CHECK(fg::ExponentialMean{.decay = 0.75}.weight(1000) == 0.25);
  constexpr fg::ExponentialMean warm{.decay = 0.75, .warm_up = 10};
  STATIC_CHECK(warm.decay_at(1) == 2.0 / 11.0);
  STATIC_CHECK(warm.decay_at(10) == 11.0 / 20.0);
  STATIC_CHECK(warm.decay_at(1000) == 0.75);
}

TEST_CASE("a decay outside [0, 1] and a negative warm-up are refused") {
  STATIC_CHECK(fg::ExponentialMean{.decay = 0.0}.problem() == nullptr);
  STATIC_CHECK(fg::ExponentialMean{.decay = 1.0}.problem() == nullptr);
  STATIC_CHECK(support::problem_of(fg::ExponentialMean{.decay = -0.1}) == "ExponentialMean.decay must be in [0, 1]");
  STATIC_CHECK(support::problem_of(fg::ExponentialMean{.decay = 1.1}) == "ExponentialMean.decay must be in [0, 1]");
  STATIC_CHECK(support::problem_of(fg::ExponentialMean{.decay = std::numeric_limits<double>::quiet_NaN()}) ==
               "ExponentialMean.decay must be in [0, 1]");
  STATIC_CHECK(support::problem_of(fg::ExponentialMean{.warm_up = -1.0}) ==
               "ExponentialMean.warm_up must be 0 or more updates");
}

TEST_CASE("a mean that is chosen while the program runs is judged as one that is constant") {
  CHECK(fg::ExponentialMean{}.decay == 0.999);
  CHECK(fg::ExponentialMean{}.problem() == nullptr);
  const double nan = std::numeric_limits<double>::quiet_NaN();
  for (const double decay : {-0.1, 1.1, nan}) {
    CHECK(support::problem_of(fg::ExponentialMean{.decay = decay}) == "ExponentialMean.decay must be in [0, 1]");
  }
  for (const double warm_up : {-1.0, nan}) {
    CHECK(support::problem_of(fg::ExponentialMean{.warm_up = warm_up}) == "ExponentialMean.warm_up must be 0 or more updates");
  }
}

TEST_CASE("means are printed") {
  std::ostringstream out;
  out << fg::EqualMean{} << ' ' << fg::ExponentialMean{.decay = 0.5};
  CHECK(out.str() == "EqualMean ExponentialMean{.decay = 0.5, .warm_up = 0}");
}
