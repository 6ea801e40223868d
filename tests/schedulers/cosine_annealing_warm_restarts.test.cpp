// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/cosine_annealing_warm_restarts.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate returns to its base, each time later") {
  const fg::CosineAnnealingWarmRestarts schedule{.period = 2, .multiplier = 2, .min_lr = 0.01};
  // CosineAnnealingWarmRestarts(optimizer, 2, 2, 0.01) from 1.0
  toy::check_same(toy::rates(schedule, 8),
      {1.0, 0.505, 1.0, 0.855017856687341, 0.505, 0.15498214331265903, 1.0, 0.9623203685930869,
       0.855017856687341});
  toy::check_resumes(schedule);
}

TEST_CASE("a period of its own length restarts where any multiple of it begins") {
  const fg::CosineAnnealingWarmRestarts schedule{.period = 7};
  CHECK(schedule.lr({.step = 7'000'000'000'000'000'000, .base = 1.0, .current = 0.0}) == 1.0);
}

TEST_CASE("restarts without period or with a shrinking one are refused") {
  CHECK(support::problem_of(fg::CosineAnnealingWarmRestarts{}) ==
        "CosineAnnealingWarmRestarts.period must be 1 or more: the steps until the first restart");
  CHECK(support::problem_of(fg::CosineAnnealingWarmRestarts{.period = 2, .multiplier = 0}) ==
        "CosineAnnealingWarmRestarts.multiplier must be 1 or more");
  CHECK(support::problem_of(fg::CosineAnnealingWarmRestarts{.period = 2, .min_lr = -1.0}) ==
        "CosineAnnealingWarmRestarts.min_lr must be 0 or more");
  CHECK(fg::CosineAnnealingWarmRestarts{.period = 1}.problem() == nullptr);
}
