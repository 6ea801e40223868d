// SPDX-License-Identifier: MIT
#include <fulgurite/policies/clipping.hpp>

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

#include "support/problems.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;

TEST_CASE("clipping policies print and know their problems") {
  std::ostringstream out;
  out << fg::ClipNorm{.max = 0.5};
  CHECK(out.str() == "ClipNorm{.max = 0.5, .norm_type = 2}");
  CHECK(support::problem_of(fg::ClipNorm{.max = 0.0}) == "ClipNorm.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK(support::problem_of(fg::ClipNorm{.max = 1.0, .norm_type = 0.0}) ==
        "ClipNorm.norm_type must be above 0: 2 is the usual norm, infinity the largest value");
  CHECK(support::problem_of(fg::ClipValue{.max = -1.0}) ==
        "ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK(fg::ClipValue{}.problem() == nullptr);
}

TEST_CASE("gradients are clipped before the update") {
  toy::Model model;
  fg::Trainer trainer{model, fg::ClipNorm{.max = 2.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(model.weight.value == -5.0);
}
