// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/constant_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the factor holds for the first steps") {
  const fg::ConstantLR schedule{.factor = 0.3, .steps = 3};
  // ConstantLR(optimizer, 0.3, 3) from 1.0
  toy::check_same(toy::rates(schedule, 5), {0.3, 0.3, 0.3, 1.0, 1.0, 1.0});
  toy::check_resumes(schedule);
}

TEST_CASE("a factor that cannot be taken back is refused") {
  CHECK(support::problem_of(fg::ConstantLR{.factor = 0.0}) == "ConstantLR.factor must be above 0 and at most 1");
  CHECK(support::problem_of(fg::ConstantLR{.factor = 1.5}) == "ConstantLR.factor must be above 0 and at most 1");
  CHECK(support::problem_of(fg::ConstantLR{.steps = 0}) == "ConstantLR.steps must be 1 or more");
  CHECK(fg::ConstantLR{.factor = 1.0, .steps = 1}.problem() == nullptr);
}
