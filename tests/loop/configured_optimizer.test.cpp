// SPDX-License-Identifier: MIT
#include <fulgurite/loop/configured_optimizer.hpp>

#include <boost/hana/at.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>
#include <stdexcept>

#include "support/toy.hpp"

namespace fg = fulgurite;

TEST_CASE("schedules act in order, each on what the one before it wrote, and drive momentum where there is one") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::MomentumSgd{{&weight}})
                        .with(fg::OneCycle{.max_lr = 1.0, .total_steps = 10})
                        .with(fg::StepDecay{.step_size = 1, .gamma = 0.5}, fg::EveryBatch{});
  configured.attach_schedules();
  CHECK(std::abs(configured.optimizer().lr(0) - 1.0 / 25.0) < 1e-15);  // OneCycle's start; StepDecay multiplies from its first step on
  CHECK(configured.optimizer().momentum(0) == 0.95);
  static_assert(decltype(configured)::schedule_count == 2);
}

TEST_CASE("a schedule or interval that makes no sense is refused when it is attached") {
  toy::Weight weight;
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).with(fg::StepDecay{.step_size = 0}),
                    "fulgurite: StepDecay.step_size must be 1 or more");
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).with(fg::StepDecay{}, fg::EveryStep{.frequency = 0}),
                    "fulgurite: EveryStep.frequency must be 1 or more");
  CHECK_THROWS_WITH(fg::optimizer(toy::Sgd{&weight}).with(fg::OneCycle{.max_lr = 1.0}),
                    "fulgurite: OneCycle needs its length: set total_steps to the optimizer steps of the whole training, "
                    "or epochs and steps_per_epoch");
}

TEST_CASE("a schedule's state is saved and loaded") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::Sgd{&weight}).with(fg::CosineAnnealing{.period = 5}).with(fg::Plateau<"loss">{});
  configured.attach_schedules();
  auto& cosine = boost::hana::at_c<0>(configured.schedules());
  auto& plateau = boost::hana::at_c<1>(configured.schedules());
  cosine.advance(configured.optimizer());
  plateau.advance(configured.optimizer(), 2.0);
  CHECK(cosine.last_lr() == configured.optimizer().lr(0));

  auto other = fg::optimizer(toy::Sgd{&weight}).with(fg::CosineAnnealing{.period = 5}).with(fg::Plateau<"loss">{});
  other.attach_schedules();
  auto& other_cosine = boost::hana::at_c<0>(other.schedules());
  auto& other_plateau = boost::hana::at_c<1>(other.schedules());
  other_cosine.load_state(cosine.state());
  other_plateau.load_state(plateau.state());
  CHECK(other_cosine.state() == cosine.state());
  CHECK(other_cosine.steps() == 1);
  CHECK(other_plateau.state().number("best") == 2.0);
  CHECK_THROWS_AS(other_plateau.load_state(cosine.state()), std::invalid_argument);
}
