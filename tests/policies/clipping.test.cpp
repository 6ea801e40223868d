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

#include "support/toy.hpp"

namespace fg = fulgurite;

TEST_CASE("clipping policies print and know their problems") {
  std::ostringstream out;
  out << fg::ClipNorm{.max = 0.5};
  CHECK(out.str() == "ClipNorm{.max = 0.5, .norm_type = 2}");
  CHECK(fg::ClipNorm{.max = 0.0}.problem() != nullptr);
  CHECK(fg::ClipNorm{.max = 1.0, .norm_type = 0.0}.problem() != nullptr);
  CHECK(fg::ClipValue{.max = -1.0}.problem() != nullptr);
  CHECK(fg::ClipValue{}.problem() == nullptr);
}

TEST_CASE("gradients are clipped before the update") {
  toy::Model model;
  fg::Trainer trainer{model, fg::ClipNorm{.max = 2.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(model.weight.value == -5.0);
}
