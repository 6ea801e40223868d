// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/per_group.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("one number for all groups, or one for each") {
  const fg::PerGroup everywhere = 0.5;
  CHECK((everywhere.at(0) == 0.5 && everywhere.at(7) == 0.5));
  const fg::PerGroup each = {0.5, 0.25};
  CHECK((each.at(0) == 0.5 && each.at(1) == 0.25));
  CHECK(each.all([](double value) { return value > 0.0; }));
  CHECK(each != everywhere);
  CHECK_NOTHROW(each.require_groups("x", 2));
  CHECK_NOTHROW(everywhere.require_groups("x", 9));
  CHECK_THROWS_WITH(each.require_groups("OneCycle.max_lr", 3),
                    "fulgurite: OneCycle.max_lr has 2 values, but the optimizer has 3 parameter groups: give one number "
                    "for all, or one for each");
}
