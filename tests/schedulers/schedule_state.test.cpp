// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/schedule_state.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("a state holds named numbers, and says what it lacks") {
  fg::ScheduleState state;
  state.set("last_epoch", 3.0);
  state.set("base_lrs", {0.1, 0.2});
  state.set("last_epoch", 4.0);
  CHECK(state.entries().size() == 2);
  CHECK(state.number("last_epoch") == 4.0);
  CHECK(state.list("base_lrs", 2) == std::vector<double>{0.1, 0.2});
  CHECK_THROWS_WITH(state.number("best"),
                    "fulgurite: this schedule state has no \"best\": it was saved by another kind of schedule");
  CHECK_THROWS_WITH(state.number("base_lrs"), "fulgurite: \"base_lrs\" in this schedule state is not a single number");
  CHECK_THROWS_WITH(state.list("base_lrs", 3),
                    "fulgurite: this schedule state is of an optimizer with 2 parameter groups, but this one has 3");
}

TEST_CASE("a state holds other states") {
  fg::ScheduleState part;
  part.set("best", 1.0);
  fg::ScheduleState whole;
  whole.nest("_schedulers.1.", part);
  CHECK(whole.has("_schedulers.1.best"));
  CHECK(whole.part("_schedulers.1.") == part);
  CHECK(whole.part("_schedulers.0.").entries().empty());
}
