// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/linear_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the factor goes along a line and stays at its end") {
  const fg::LinearLR schedule{.start_factor = 0.2, .end_factor = 0.9, .steps = 4};
  // LinearLR(optimizer, 0.2, 0.9, 4) from 1.0
  toy::check_same(toy::rates(schedule, 6),
      {0.2, 0.375, 0.5499999999999999, 0.7249999999999999, 0.8999999999999999, 0.8999999999999999,
       0.8999999999999999});
  toy::check_resumes(schedule);
}

TEST_CASE("a line starts from what another schedule wrote, and from the base where a sequence restarts it") {
  const fg::LinearLR schedule{.start_factor = 0.5};
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.25}) == 0.125);
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.25, .arrival = fg::Arrival::restarted}) == 0.5);
}

TEST_CASE("factors outside their range are refused") {
  CHECK(support::problem_of(fg::LinearLR{.start_factor = 0.0}) ==
        "LinearLR.start_factor must be above 0 and at most 1");
  CHECK(support::problem_of(fg::LinearLR{.start_factor = 1.1}) ==
        "LinearLR.start_factor must be above 0 and at most 1");
  CHECK(support::problem_of(fg::LinearLR{.end_factor = -0.1}) == "LinearLR.end_factor must be in [0, 1]");
  CHECK(support::problem_of(fg::LinearLR{.end_factor = 1.1}) == "LinearLR.end_factor must be in [0, 1]");
  CHECK(support::problem_of(fg::LinearLR{.steps = 0}) == "LinearLR.steps must be 1 or more");
  CHECK(fg::LinearLR{.start_factor = 1.0, .end_factor = 0.0, .steps = 1}.problem() == nullptr);
}
