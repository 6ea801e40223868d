// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/momentum_range.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("a range has a printed form, and as many values as groups") {
  std::ostringstream out;
  out << fg::MomentumRange{.base = {0.7, 0.8}, .max = 0.9};
  CHECK(out.str() == "MomentumRange{.base = {0.7, 0.8}, .max = 0.9}");
  CHECK_THROWS(fg::MomentumRange{.base = {0.7, 0.8}}.require_groups("x", 3));
  CHECK(fg::MomentumRange{} == fg::MomentumRange{.base = 0.85, .max = 0.95});
}
