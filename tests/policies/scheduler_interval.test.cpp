// SPDX-License-Identifier: MIT
#include <fulgurite/policies/scheduler_interval.hpp>

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

TEST_CASE("intervals are due at their frequency") {
  const fg::SchedulePoint point{.epoch = 1, .batch = 6, .steps = 3};
  CHECK(fg::EveryStep{3}.due_after_step(point));
  CHECK_FALSE(fg::EveryStep{2}.due_after_step(point));
  CHECK(fg::EveryBatch{2}.due_after_step(point));
  CHECK(fg::EveryEpoch{2}.due_after_epoch(point));
  CHECK_FALSE(fg::EveryEpoch{3}.due_after_epoch(point));
  CHECK(support::problem_of(fg::EveryEpoch{0}) == "EveryEpoch.frequency must be 1 or more");
  CHECK(support::problem_of(fg::EveryBatch{0}) == "EveryBatch.frequency must be 1 or more");
  CHECK(support::problem_of(fg::EveryStep{0}) == "EveryStep.frequency must be 1 or more");
  CHECK(fg::EveryEpoch{1}.problem() == nullptr);
}
