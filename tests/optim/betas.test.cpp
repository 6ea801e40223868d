// SPDX-License-Identifier: MIT
#include <fulgurite/optim/betas.hpp>

#include <catch2/catch_test_macros.hpp>

namespace fg = fulgurite;

TEST_CASE("betas lie between 0 and 1") {
  CHECK(fg::Betas{}.problem() == nullptr);
  CHECK(fg::Betas{0.0, 0.0}.problem() == nullptr);
  CHECK(fg::Betas{1.0, 0.999}.problem() != nullptr);
  CHECK(fg::Betas{0.9, -0.1}.problem() != nullptr);
  CHECK(fg::Betas{0.9, 0.99} != fg::Betas{});
}
