// SPDX-License-Identifier: MIT
#include <fulgurite/optim/betas.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/problems.hpp"

namespace fg = fulgurite;

TEST_CASE("betas lie between 0 and 1") {
  CHECK(fg::Betas{}.problem() == nullptr);
  CHECK(fg::Betas{0.0, 0.0}.problem() == nullptr);
  CHECK(support::problem_of(fg::Betas{1.0, 0.999}) == "needs betas in [0, 1)");
  CHECK(support::problem_of(fg::Betas{0.9, -0.1}) == "needs betas in [0, 1)");
  CHECK(fg::Betas{0.9, 0.99} != fg::Betas{});
}
