// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/running_schedule.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <stdexcept>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("several schedules on one optimizer start from the same rates, and act in order") {
  toy::MomentumRates optimizer;
  std::vector<double> initial_lrs;
  fg::RunningSchedule<fg::ConstantSchedule> first(fg::ConstantSchedule{.factor = 0.5, .steps = 2});
  fg::RunningSchedule<fg::CosineWarmRestarts> second(fg::CosineWarmRestarts{.period = 4});
  first.attach(optimizer, initial_lrs);
  second.attach(optimizer, initial_lrs);
  CHECK(optimizer.lr(0) == 1.0);  // the second overwrites, and its base is not what the first wrote
  first.advance(optimizer);
  CHECK(first.last_lr() == 1.0);
  second.advance(optimizer);
  CHECK(second.last_lr() == optimizer.lr(0));
  CHECK(second.steps() == 1);
}

TEST_CASE("a schedule that sets the rate before it starts gives it to those after it only if it is the first") {
  const fg::CyclicSchedule cyclic{.base_lr = 0.25, .max_lr = 0.5};
  for (const bool is_first : {true, false}) {
    toy::MomentumRates optimizer;
    std::vector<double> initial_lrs;
    fg::RunningSchedule<fg::StepDecay> before(fg::StepDecay{});
    if (!is_first) before.attach(optimizer, initial_lrs);
    fg::RunningSchedule<fg::CyclicSchedule>(cyclic).attach(optimizer, initial_lrs);
    CHECK(optimizer.lr(0) == 0.25);
    CHECK(initial_lrs[0] == (is_first ? 0.25 : 1.0));
  }
}

TEST_CASE("a state of another kind or of other groups is refused and changes nothing") {
  toy::MomentumRates optimizer;
  toy::MomentumRates other{{{1.0, 2.0}}};
  auto decay = fg::schedule(optimizer, fg::StepDecay{});
  auto plateau = fg::schedule(optimizer, fg::Plateau<"loss">{});
  auto wide = fg::schedule(other, fg::StepDecay{});
  const auto before = decay.state();
  CHECK_THROWS_AS(plateau.load_state(decay.state()), std::invalid_argument);
  CHECK_THROWS_WITH(decay.load_state(wide.state()),
                    "fulgurite: this schedule state is of an optimizer with 2 parameter groups, but this one has 1");
  CHECK(decay.state() == before);
  auto chain = fg::schedule(optimizer, fg::ChainedSchedules{fg::StepDecay{}, fg::StepDecay{}});
  auto short_chain = fg::schedule(optimizer, fg::ChainedSchedules{fg::StepDecay{}});
  short_chain.step();
  const auto chained = chain.state();
  CHECK_THROWS_AS(chain.load_state(short_chain.state()), std::invalid_argument);
  CHECK(chain.state() == chained);
}
