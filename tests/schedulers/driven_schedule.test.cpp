// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/driven_schedule.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("a schedule drives an optimizer without a trainer") {
  toy::MomentumRates optimizer;
  auto schedule = fg::schedule(optimizer, fg::StepDecay{.step_size = 1, .gamma = 0.5});
  schedule.step();
  schedule.step();
  CHECK(optimizer.lr(0) == 0.25);
  CHECK(schedule.last_lr() == 0.25);
  CHECK(schedule.steps() == 2);
  CHECK(schedule.schedule() == fg::StepDecay{.step_size = 1, .gamma = 0.5});
  optimizer.set_lr(0, 1.0);  // others may write too
  schedule.step();
  CHECK(optimizer.lr(0) == 0.5);
}

TEST_CASE("one that follows a metric is stepped with its value, others without") {
  toy::MomentumRates optimizer;
  auto plateau = fg::schedule(optimizer, fg::Plateau<"loss">{.patience = 0});
  plateau.step(1.0);
  plateau.step(1.0);
  CHECK(optimizer.lr(0) == 0.1);
  CHECK(plateau.steps() == 2);
}
