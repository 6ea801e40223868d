// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/multiplicative_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate is multiplied by the function in every step") {
  const fg::MultiplicativeLR schedule{[](std::int64_t step) { return static_cast<double>(step); }};
  CHECK(toy::rates(schedule, 4) == std::vector<double>{1.0, 1.0, 2.0, 6.0, 24.0});  // not at step 0
  toy::check_resumes(schedule);
}

TEST_CASE("each group may have its own function") {
  toy::MomentumRates optimizer{{{1.0, 2.0}}};
  const fg::MultiplicativeLR schedule{[](std::int64_t) { return 0.5; }, [](std::int64_t) { return 3.0; }};
  auto running = fg::schedule(optimizer, schedule);
  running.step();
  CHECK(optimizer.lrs == std::vector<double>{0.5, 6.0});
}

TEST_CASE("a sequence that hands over to it leaves the rate where it is") {
  const fg::MultiplicativeLR schedule{[](std::int64_t) { return 0.5; }};
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.4, .arrival = fg::Arrival::restarted}) == 0.2);
}
