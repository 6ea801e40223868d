// SPDX-License-Identifier: MIT
#include <fulgurite/policies/precision.hpp>

namespace fg = fulgurite;

namespace {
struct Own {
  using slot = fg::slots::Precision;
  static constexpr fg::NumberFormat parameters = fg::NumberFormat::float64;
  static constexpr fg::NumberFormat autocast = fg::NumberFormat::unchanged;
};

static_assert(fg::PrecisionPolicy<Own> && fg::PrecisionPolicy<fg::ModelPrecision> && fg::PrecisionPolicy<fg::Bfloat16Mixed>);
static_assert(!fg::PrecisionPolicy<int>);
static_assert(fg::Bfloat16Mixed::parameters == fg::NumberFormat::unchanged);
static_assert(fg::Bfloat16Mixed::autocast == fg::NumberFormat::bfloat16);
static_assert(fg::Bfloat16True::parameters == fg::NumberFormat::bfloat16);
static_assert(fg::Float32::parameters == fg::NumberFormat::float32 && fg::Float64::parameters == fg::NumberFormat::float64);
static_assert(fg::Float32{} == fg::Float32{});
}  // namespace
