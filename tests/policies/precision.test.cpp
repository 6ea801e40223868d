// SPDX-License-Identifier: MIT
#include <fulgurite/policies/precision.hpp>

#include <catch2/catch_test_macros.hpp>

#include <sstream>

#include "support/problems.hpp"

namespace fg = fulgurite;

TEST_CASE("by default a loss scale moves as PyTorch's does") {
  const fg::LossScaleOptions scale;
  CHECK(scale.initial_scale == 65536.0);
  CHECK(scale.growth_factor == 2.0);
  CHECK(scale.backoff_factor == 0.5);
  CHECK(scale.growth_interval == 2000);
  CHECK(scale.enabled);
  CHECK(fg::Float16Mixed{}.loss_scale() == scale);
  const fg::Float16Mixed own{.initial_scale = 8.0, .growth_factor = 4.0, .backoff_factor = 0.25, .growth_interval = 3};
  CHECK(own.loss_scale() == fg::LossScaleOptions{.initial_scale = 8.0, .growth_factor = 4.0, .backoff_factor = 0.25,
                                                 .growth_interval = 3, .enabled = true});
}

TEST_CASE("a loss scale that could not move is refused, unless it is switched off") {
  using Options = fg::LossScaleOptions;
  CHECK(support::problem_of(Options{.initial_scale = 0.0}) == "a loss scale needs an initial_scale above 0");
  CHECK(support::problem_of(Options{.growth_factor = 1.0}) == "a loss scale needs a growth_factor above 1");
  CHECK(support::problem_of(Options{.backoff_factor = 0.0}) == "a loss scale needs a backoff_factor between 0 and 1");
  CHECK(support::problem_of(Options{.backoff_factor = 1.0}) == "a loss scale needs a backoff_factor between 0 and 1");
  CHECK(support::problem_of(Options{.growth_interval = 0}) == "a loss scale needs a growth_interval of 1 or more");
  const Options nearly{.initial_scale = 0.5, .growth_factor = 1.5, .backoff_factor = 0.75, .growth_interval = 1};
  CHECK(nearly.problem() == nullptr);
  CHECK(Options{.initial_scale = 0.0, .growth_interval = 0, .enabled = false}.problem() == nullptr);
  CHECK(fg::Float16Mixed{}.problem() == nullptr);
  CHECK(fg::Float16Mixed{.growth_interval = 0}.problem() != nullptr);
}

TEST_CASE("precisions are equal to themselves and printed by their names") {
  CHECK(fg::ModelPrecision{} == fg::ModelPrecision{});
  CHECK(fg::Float32{} == fg::Float32{});
  CHECK(fg::Float64{} == fg::Float64{});
  CHECK(fg::Bfloat16Mixed{} == fg::Bfloat16Mixed{});
  CHECK(fg::Bfloat16True{} == fg::Bfloat16True{});
  std::ostringstream out;
  out << fg::ModelPrecision{} << ' ' << fg::Float32{} << ' ' << fg::Float64{} << ' ' << fg::Bfloat16Mixed{} << ' '
      << fg::Bfloat16True{} << ' ' << fg::Float16Mixed{};
  CHECK(out.str() == "ModelPrecision Float32 Float64 Bfloat16Mixed Bfloat16True Float16Mixed{.initial_scale = 65536, "
                     ".growth_factor = 2, .backoff_factor = 0.5, .growth_interval = 2000}");
}
