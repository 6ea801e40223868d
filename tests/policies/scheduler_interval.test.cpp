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
  CHECK(fg::EveryBatch{1}.problem() == nullptr);
  CHECK(fg::EveryStep{1}.problem() == nullptr);
  CHECK_FALSE(fg::EveryBatch{4}.due_after_step(point));
}

TEST_CASE("an interval is due at one kind of place") {
  const fg::SchedulePoint point{.epoch = 0, .batch = 1, .steps = 1};
  CHECK_FALSE(fg::EveryStep{}.due_after_epoch(point));
  CHECK_FALSE(fg::EveryBatch{}.due_after_epoch(point));
  CHECK_FALSE(fg::EveryEpoch{}.due_after_step(point));
  CHECK(fg::EveryStep{}.due_after_step(point));
  CHECK(fg::EveryBatch{}.due_after_step(point));
  CHECK(fg::EveryEpoch{}.due_after_epoch(point));
}

TEST_CASE("an interval has its frequency in its printed form and among its fields") {
  std::ostringstream out;
  out << fg::EveryStep{2} << ' ' << fg::EveryBatch{3} << ' ' << fg::EveryEpoch{4};
  CHECK(out.str() == "EveryStep{.frequency = 2} EveryBatch{.frequency = 3} EveryEpoch{.frequency = 4}");
  out.str("");
  const auto show = [&](const char* name, std::int64_t value) { out << name << ' ' << value << ' '; };
  const fg::EveryStep step{2};
  const fg::EveryBatch batch{3};
  const fg::EveryEpoch epoch{4};
  fg::EveryStep::for_each_field(step, show);
  fg::EveryBatch::for_each_field(batch, show);
  fg::EveryEpoch::for_each_field(epoch, show);
  CHECK(out.str() == "EveryStep.frequency 2 EveryBatch.frequency 3 EveryEpoch.frequency 4 ");
}
