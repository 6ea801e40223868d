// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/multi_step_decay.hpp>

#include <catch2/catch_test_macros.hpp>

#include <vector>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate drops at each milestone, and twice at one that is listed twice") {
  const fg::MultiStepDecay schedule{.milestones = {2, 3, 3}, .gamma = 0.3};
  // MultiStepLR(optimizer, [2, 3, 3], 0.3) from 1.0
  toy::check_same(toy::rates(schedule, 5),
      {1.0, 1.0, 0.3, 0.027, 0.027, 0.027});
  toy::check_resumes(schedule);
  CHECK(schedule.lr({.step = 2, .base = 1.0, .current = 0.5}) == 0.5 * 0.3);  // from what another schedule wrote
}

TEST_CASE("a milestone at 0 counts when the schedule is attached") {
  CHECK(toy::rates(fg::MultiStepDecay{.milestones = {0}, .gamma = 0.5}, 1) == std::vector<double>{0.5, 0.5});
}

TEST_CASE("a milestone at 0 counts as well when the schedule takes over from another") {
  const fg::SequentialSchedule schedule{{2}, fg::StepDecay{.step_size = 100},
                                        fg::MultiStepDecay{.milestones = {0, 3}, .gamma = 0.5}};
  // SequentialLR(optimizer, [StepLR(optimizer, 100), MultiStepLR(optimizer, [0, 3], 0.5)], [2]) from 1.0
  CHECK(toy::rates(schedule, 6) == std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25});
}

TEST_CASE("milestones that do not ascend or are negative are refused") {
  CHECK(support::problem_of(fg::MultiStepDecay{.milestones = {3, 2}}) == "MultiStepDecay.milestones must ascend");
  CHECK(support::problem_of(fg::MultiStepDecay{.milestones = {-1, 2}}) == "MultiStepDecay.milestones must be 0 or more");
  CHECK(support::problem_of(fg::MultiStepDecay{.milestones = {2}, .gamma = -1.0}) == "MultiStepDecay.gamma must be 0 or more");
  CHECK(fg::MultiStepDecay{.milestones = {0, 2}, .gamma = 0.0}.problem() == nullptr);
  CHECK(fg::MultiStepDecay{}.problem() == nullptr);
}
