// SPDX-License-Identifier: MIT
#include <fulgurite/policies/policy.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/optimization.hpp>

#include <sstream>

namespace fg = fulgurite;

TEST_CASE("values that a policy finds wrong are refused with what it says; one that says nothing is fine") {
  CHECK(fg::detail::values_make_sense(fg::ClipNorm{.max = 1.0}));
  CHECK_FALSE(fg::detail::values_make_sense(fg::ClipNorm{.max = 0.0}));
  CHECK(fg::detail::values_make_sense(fg::NoClipping{}));
  CHECK_NOTHROW(fg::detail::require_sensible(fg::ClipNorm{.max = 1.0}));
  CHECK_NOTHROW(fg::detail::require_sensible(fg::NoClipping{}));
  CHECK_THROWS_WITH(fg::detail::require_sensible(fg::ClipValue{.max = 0.0}),
                    "fulgurite: ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
}

TEST_CASE("a policy whose values are in its type is equal to itself, with a printed form") {
  using Half = fg::Fixed<fg::ClipNorm{.max = 0.5}>;
  CHECK(Half{} == Half{});
  CHECK(fg::value_of(Half{}).max == 0.5);
  std::ostringstream out;
  out << Half{};
  CHECK(out.str() == "Fixed<ClipNorm{.max = 0.5, .norm_type = 2}>");
}

TEST_CASE("the two ways to drive an optimizer are equal to themselves and printed by their names") {
  CHECK(fg::AutomaticOptimization{} == fg::AutomaticOptimization{});
  CHECK(fg::ManualOptimization{} == fg::ManualOptimization{});
  std::ostringstream out;
  out << fg::AutomaticOptimization{} << ' ' << fg::ManualOptimization{};
  CHECK(out.str() == "AutomaticOptimization ManualOptimization");
}
