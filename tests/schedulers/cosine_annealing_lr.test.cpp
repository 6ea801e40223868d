// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/cosine_annealing_lr.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <numbers>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("the rate follows a cosine, also past its t_max") {
  const fg::CosineAnnealingLR schedule{.t_max = 4, .min_lr = 0.01};
  const auto at = [](int step) { return 0.01 + 0.99 * (1.0 + std::cos(std::numbers::pi * step / 4.0)) / 2.0; };
  toy::check_same(toy::rates(schedule, 9), {1.0, at(1), at(2), at(3), at(4), at(5), at(6), at(7), at(8), at(9)});
  toy::check_resumes(schedule);
}

TEST_CASE("it starts from what another schedule wrote, and from the base where a sequence restarts it") {
  const fg::CosineAnnealingLR schedule{.t_max = 4};
  CHECK(schedule.lr({.step = 1, .base = 1.0, .current = 0.5}) == 0.5 * schedule.lr({.step = 1, .base = 1.0, .current = 1.0}));
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.5}) == 0.5);
  CHECK(schedule.lr({.step = 0, .base = 1.0, .current = 0.5, .arrival = fg::Arrival::restarted}) == 1.0);
}

TEST_CASE("a cosine without t_max is refused") {
  CHECK(support::problem_of(fg::CosineAnnealingLR{}) ==
        "CosineAnnealingLR.t_max must be 1 or more: the steps from the base rate to min_lr");
  CHECK(support::problem_of(fg::CosineAnnealingLR{.t_max = 4, .min_lr = -0.1}) == "CosineAnnealingLR.min_lr must be 0 or more");
  CHECK(fg::CosineAnnealingLR{.t_max = 1}.problem() == nullptr);
}
