// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/exponential_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("each step has the same factor") {
  const fg::ExponentialLR schedule{.gamma = 0.9};
  // ExponentialLR(optimizer, 0.9) from 1.0
  toy::check_same(toy::rates(schedule, 5),
      {1.0, 0.9, 0.81, 0.7290000000000001, 0.6561000000000001, 0.5904900000000002});
  toy::check_resumes(schedule);
  CHECK(schedule.lr({.step = 1, .base = 1.0, .current = 0.5}) == 0.45);  // a point beyond step 0 is one step on
}

TEST_CASE("the factor has to be given") {
  CHECK(support::problem_of(fg::ExponentialLR{}) ==
        "ExponentialLR.gamma must be above 0: the factor of every step, such as 0.95");
  CHECK(support::problem_of(fg::ExponentialLR{.gamma = -0.9}) ==
        "ExponentialLR.gamma must be above 0: the factor of every step, such as 0.95");
  CHECK(fg::ExponentialLR{.gamma = 0.95}.problem() == nullptr);
}
