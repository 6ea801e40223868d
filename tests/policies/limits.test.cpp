// SPDX-License-Identifier: MIT
#include <fulgurite/policies/limits.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("a limit takes batches or a fraction") {
  CHECK(fg::BatchLimit{}.of(7, "training") == 7);
  CHECK(fg::BatchLimit{fg::Batches{3}}.of(std::nullopt, "training") == 3);
  CHECK(fg::BatchLimit{fg::Batches{9}}.of(7, "training") == 7);
  CHECK(fg::BatchLimit{fg::Fraction{0.5}}.of(7, "training") == 3);
  CHECK_THROWS_AS(fg::BatchLimit{fg::Fraction{0.5}}.of(std::nullopt, "training"), std::invalid_argument);
  CHECK_THROWS_AS(fg::BatchLimit{fg::Fraction{0.1}}.of(7, "training"), std::invalid_argument);
  CHECK_FALSE(fg::BatchLimit{fg::Fraction{1.5}}.makes_sense());
  CHECK(fg::MaxEpochs{-1}.problem() != nullptr);
  CHECK(fg::Limits{}.epochs() == 1000);
}
