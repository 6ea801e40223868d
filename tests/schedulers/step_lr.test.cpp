// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/step_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate drops every n steps") {
  const fg::StepLR schedule{.step_size = 2, .gamma = 0.5};
  CHECK(toy::rates(schedule, 6) == std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.25, 0.25, 0.125});
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.3, .arrival = fg::Arrival::restarted}) == 1.0);
  toy::check_resumes(schedule);
}

TEST_CASE("a step decay without steps or with a negative factor is refused") {
  CHECK(support::problem_of(fg::StepLR{.step_size = 0}) == "StepLR.step_size must be 1 or more");
  CHECK(support::problem_of(fg::StepLR{.gamma = -0.1}) == "StepLR.gamma must be 0 or more");
  CHECK(fg::StepLR{.step_size = 1, .gamma = 0.0}.problem() == nullptr);
  CHECK(fg::StepLR{}.problem() == nullptr);
}
