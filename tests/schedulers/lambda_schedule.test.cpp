// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/lambda_schedule.hpp>

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

TEST_CASE("the base is multiplied by the function") {
  const fg::LambdaSchedule schedule{[](std::int64_t step) { return 1.0 / static_cast<double>(1 + step); }};
  CHECK(schedule.lr({3, 2.0, 7.0}) == 0.5);
}
