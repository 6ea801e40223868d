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

namespace fg = fulgurite;

TEST_CASE("intervals are due at their frequency") {
  const fg::SchedulePoint point{.epoch = 1, .batch = 6, .steps = 3};
  CHECK(fg::EveryStep{3}.due_after_step(point));
  CHECK_FALSE(fg::EveryStep{2}.due_after_step(point));
  CHECK(fg::EveryBatch{2}.due_after_step(point));
  CHECK(fg::EveryEpoch{2}.due_after_epoch(point));
  CHECK_FALSE(fg::EveryEpoch{3}.due_after_epoch(point));
  CHECK(fg::EveryEpoch{0}.problem() != nullptr);
}
