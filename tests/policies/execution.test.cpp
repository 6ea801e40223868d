// SPDX-License-Identifier: MIT
#include <fulgurite/policies/execution.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>

#include "support/problems.hpp"

namespace fg = fulgurite;

TEST_CASE("by default frozen steps keep eight tapes and go on eagerly where there is none") {
  const fg::Frozen frozen;
  CHECK_FALSE(frozen.strict);
  CHECK(frozen.tapes == 8);
  CHECK(fg::Frozen{.tapes = 1}.problem() == nullptr);
  CHECK(support::problem_of(fg::Frozen{.tapes = 0}) == "Frozen.tapes must be 1 or more");
}

TEST_CASE("executions are equal to themselves and have a printed form") {
  CHECK(fg::Eager{} == fg::Eager{});
  std::ostringstream out;
  out << fg::Eager{} << ' ' << fg::Frozen{.strict = true, .tapes = 3};
  CHECK(out.str() == "Eager Frozen{.strict = 1, .tapes = 3}");
}
