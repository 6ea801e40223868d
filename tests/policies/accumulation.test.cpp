// SPDX-License-Identifier: MIT
#include <fulgurite/policies/accumulation.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/problems.hpp"

namespace fg = fulgurite;

TEST_CASE("a schedule of windows follows its stages") {
  const fg::AccumulateSchedule policy{.stages = {{1, 8}, {4, 2}}};
  CHECK(policy.window(0) == 1);
  CHECK(policy.window(1) == 8);
  CHECK(policy.window(4) == 2);
  CHECK(policy.problem() == nullptr);
}

TEST_CASE("invalid stages say what is wrong") {
  using Schedule = fg::AccumulateSchedule;
  CHECK(support::problem_of(Schedule{}) == "AccumulateSchedule has no stages: give at least one {.from_epoch, .batches}");
  CHECK(support::problem_of(Schedule{.stages = {{-1, 2}}}) == "AccumulateSchedule: from_epoch must be 0 or more");
  CHECK(support::problem_of(Schedule{.stages = {{0, 0}}}) == "AccumulateSchedule: batches must be 1 or more");
  CHECK(support::problem_of(Schedule{.stages = {{2, 2}, {2, 3}}}) ==
        "AccumulateSchedule: the stages must be listed by rising from_epoch, each epoch once");
  CHECK(support::problem_of(Schedule{.stages = {{2, 1}, {1, 2}}}) ==
        "AccumulateSchedule: the stages must be listed by rising from_epoch, each epoch once");
  CHECK(Schedule{.stages = {{.from_epoch = 0, .batches = 1}}}.problem() == nullptr);
}

TEST_CASE("a schedule of windows is printed as it is written") {
  std::ostringstream out;
  out << fg::AccumulateSchedule{.stages = {{1, 8}, {4, 2}}};
  CHECK(out.str() == "AccumulateSchedule{.stages = {{1, 8}, {4, 2}}, .partial = own_mean}");
  out.str("");
  out << fg::AccumulateSchedule{.stages = {{0, 3}}, .partial = fg::PartialWindow::full_divisor};
  CHECK(out.str() == "AccumulateSchedule{.stages = {{0, 3}}, .partial = full_divisor}");
}

TEST_CASE("without accumulation each batch is a window, and a stage says what it leaves out") {
  CHECK(fg::NoAccumulation::window(7) == 1);
  CHECK(fg::NoAccumulation{} == fg::NoAccumulation{});
  const fg::AccumulateSchedule unsaid{.stages = {{}}};
  CHECK(unsaid.window(0) == 1);
  CHECK(unsaid.stages[0].from_epoch == 0);
  CHECK(unsaid.stages[0].batches == 1);
}
