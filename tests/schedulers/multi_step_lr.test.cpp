// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/multi_step_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include <vector>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate drops at each milestone, and twice at one that is listed twice") {
  const fg::MultiStepLR schedule{.milestones = {2, 3, 3}, .gamma = 0.3};
  // MultiStepLR(optimizer, [2, 3, 3], 0.3) from 1.0
  toy::check_same(toy::rates(schedule, 5),
      {1.0, 1.0, 0.3, 0.027, 0.027, 0.027});
  toy::check_resumes(schedule);
  CHECK(schedule.lr({.step = 2, .base = 1.0, .current = 0.5}) == 0.5 * 0.3);  // from what another schedule wrote
}

TEST_CASE("a milestone at 0 counts when the schedule is attached") {
  CHECK(toy::rates(fg::MultiStepLR{.milestones = {0}, .gamma = 0.5}, 1) == std::vector<double>{0.5, 0.5});
}

TEST_CASE("a milestone at 0 counts as well when the schedule takes over from another") {
  const fg::SequentialLR schedule{{2}, fg::StepLR{.step_size = 100},
                                        fg::MultiStepLR{.milestones = {0, 3}, .gamma = 0.5}};
  // SequentialLR(optimizer, [StepLR(optimizer, 100), MultiStepLR(optimizer, [0, 3], 0.5)], [2]) from 1.0
  CHECK(toy::rates(schedule, 6) == std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25});
}

TEST_CASE("milestones that do not ascend or are negative are refused") {
  CHECK(support::problem_of(fg::MultiStepLR{.milestones = {3, 2}}) == "MultiStepLR.milestones must ascend");
  CHECK(support::problem_of(fg::MultiStepLR{.milestones = {-1, 2}}) == "MultiStepLR.milestones must be 0 or more");
  CHECK(support::problem_of(fg::MultiStepLR{.milestones = {2}, .gamma = -1.0}) == "MultiStepLR.gamma must be 0 or more");
  CHECK(fg::MultiStepLR{.milestones = {0, 2}, .gamma = 0.0}.problem() == nullptr);
  CHECK(fg::MultiStepLR{}.problem() == nullptr);
}
