// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/linear_warmup.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("a warm-up rises to the base rate and hands over to the next schedule") {
  const auto schedule = fg::LinearWarmup{.steps = 3}.then(fg::ExponentialLR{.gamma = 0.9});
  // SequentialLR(optimizer, [LinearLR(optimizer, 0.01, 1.0, 3), ExponentialLR(optimizer, 0.9)], [3]) from 1.0
  toy::check_same(toy::rates(schedule, 6),
      {0.01, 0.34, 0.67, 1.0, 0.9, 0.81, 0.7290000000000001});
  toy::check_resumes(schedule);
}

TEST_CASE("alone, a warm-up holds the base rate") {
  toy::check_same(toy::rates(fg::LinearWarmup{.steps = 2, .start_factor = 0.5}, 4), {0.5, 0.75, 1.0, 1.0, 1.0});
}

TEST_CASE("a warm-up without steps or from nothing is refused") {
  CHECK(fg::LinearWarmup{}.problem() != nullptr);
  CHECK(support::problem_of(fg::LinearWarmup{.steps = 3, .start_factor = 0.0}) ==
        "LinearWarmup.start_factor must be above 0 and at most 1");
  CHECK(support::problem_of(fg::LinearWarmup{.steps = 3, .start_factor = 1.1}) ==
        "LinearWarmup.start_factor must be above 0 and at most 1");
  CHECK(fg::LinearWarmup{.steps = 1, .start_factor = 1.0}.problem() == nullptr);
  toy::MomentumRates optimizer;
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::LinearWarmup{}.then(fg::StepLR{})),
                    "fulgurite: LinearWarmup.steps must be 1 or more: the steps until the base rate is reached");
}
