// SPDX-License-Identifier: MIT
#include <fulgurite/loop/configured_optimizer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>

#include "support/toy.hpp"

namespace fg = fulgurite;

TEST_CASE("schedules act in order, each on what the one before it wrote, and drive momentum where there is one") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::MomentumSgd{{&weight}})
                        .lr_scheduler(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 10})
                        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryBatch{});
  configured.attach_schedules();
  CHECK(std::abs(configured.optimizer().lr(0) - 1.0 / 25.0) < 1e-15);  // OneCycleLR's start; StepLR multiplies from its first step on
  CHECK(configured.optimizer().momentum(0) == 0.95);
  static_assert(decltype(configured)::schedule_count == 2);
}

TEST_CASE("an invalid schedule or interval is refused when it is attached") {
  toy::Weight weight;
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 0}),
                    "fulgurite: StepLR.step_size must be 1 or more");
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{}, fg::EveryStep{.frequency = 0}),
                    "fulgurite: EveryStep.frequency must be 1 or more");
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::OneCycleLR{.max_lr = 1.0}),
                    "fulgurite: OneCycleLR needs its length: set total_steps to the optimizer steps of the whole training, "
                    "or epochs and steps_per_epoch");
}

TEST_CASE("the turn of an optimizer is a batch or more") {
  toy::Weight weight;
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).frequency(fg::Batches{0}),
                    "fulgurite: frequency(fg::Batches{0}): the turn of an optimizer is 1 batch or more");
}

TEST_CASE("an optimizer's own clipping comes before the trainer's") {
  toy::Weight weight;
  const auto configured = fg::optimizer(toy::Sgd{&weight}).clip(fg::ClipValue{.max = 2.0});
  static_assert(decltype(configured)::has_clipping);
  CHECK(configured.clipping_or(fg::NoClipping{}) == fg::ClipValue{.max = 2.0});
  CHECK(fg::optimizer(toy::Sgd{&weight}).clipping_or(fg::ClipNorm{}) == fg::ClipNorm{});
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).clip(fg::ClipValue{.max = -1.0}),
                    "fulgurite: ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
}
