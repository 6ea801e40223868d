// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/step_decay.hpp>

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

TEST_CASE("the rate drops every n steps") {
  const fg::StepDecay schedule{.step_size = 2, .gamma = 0.5};
  CHECK(schedule.lr({0, 1.0, 1.0}) == 1.0);
  CHECK(schedule.lr({1, 1.0, 1.0}) == 1.0);
  CHECK(schedule.lr({2, 1.0, 1.0}) == 0.5);
  CHECK(fg::StepDecay{.step_size = 0}.problem() != nullptr);
}
