// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/polynomial_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate goes to zero along a power and stays there") {
  const fg::PolynomialLR schedule{.steps = 4, .power = 2.5};
  // PolynomialLR(optimizer, 4, 2.5) from 1.0
  toy::check_same(toy::rates(schedule, 5),
      {1.0, 0.48713928962874675, 0.17677669529663687, 0.03125, 0.0, 0.0});
  toy::check_resumes(schedule);
}

TEST_CASE("a polynomial decay without steps or with a negative power is refused") {
  CHECK(support::problem_of(fg::PolynomialLR{.steps = 0}) ==
        "PolynomialLR.steps must be 1 or more: the steps until the rate is zero");
  CHECK(support::problem_of(fg::PolynomialLR{.power = -1.0}) == "PolynomialLR.power must be 0 or more");
  CHECK(fg::PolynomialLR{.steps = 1, .power = 0.0}.problem() == nullptr);
}
