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

namespace fg = fulgurite;

TEST_CASE("a schedule of windows follows its stages") {
  const fg::AccumulateSchedule policy{.stages = {{1, 8}, {4, 2}}};
  CHECK(policy.window(0) == 1);
  CHECK(policy.window(1) == 8);
  CHECK(policy.window(4) == 2);
  CHECK(policy.problem() == nullptr);
}

TEST_CASE("stages without sense have a problem") {
  using Schedule = fg::AccumulateSchedule;
  CHECK(Schedule{}.problem() != nullptr);
  CHECK(Schedule{.stages = {{-1, 2}}}.problem() != nullptr);
  CHECK(Schedule{.stages = {{0, 0}}}.problem() != nullptr);
  CHECK(Schedule{.stages = {{2, 2}, {2, 3}}}.problem() != nullptr);
}
