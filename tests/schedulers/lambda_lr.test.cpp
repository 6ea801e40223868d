// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/lambda_lr.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the base is multiplied by the function") {
  const fg::LambdaLR schedule{[](std::int64_t step) { return 1.0 / static_cast<double>(1 + step); }};
  CHECK(schedule.lr({3, 2.0, 7.0}) == 0.5);
  toy::check_resumes(schedule);
}

TEST_CASE("a function may remember, and each group may have its own") {
  const double slope = 0.25;
  const fg::LambdaLR schedule{[slope](std::int64_t step) { return 1.0 - slope * static_cast<double>(step); },
                                    [](std::int64_t) { return 3.0; }};
  toy::MomentumRates optimizer{{{1.0, 2.0}}};
  auto running = fg::schedule(optimizer, schedule);
  running.step();
  CHECK(optimizer.lrs == std::vector<double>{0.75, 6.0});
  toy::check_resumes(schedule);
}

TEST_CASE("as many functions as groups, or one") {
  const auto one = [](std::int64_t) { return 1.0; };
  toy::MomentumRates optimizer{{{1.0, 2.0, 3.0}}};
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::LambdaLR(one, one)),
                    "fulgurite: LambdaLR has 2 functions, but the optimizer has 3 parameter groups: give one "
                    "function for all, or one for each");
}
