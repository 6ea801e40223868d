// SPDX-License-Identifier: MIT
#include <fulgurite/concepts/backend.hpp>

namespace fg = fulgurite;

namespace {
struct Loss {
  double value() const;
  void backward(double);
};
struct OnTensors {
  template <class>
  struct backend {};
};

static_assert(fg::PlainLoss<Loss> && !fg::PlainLoss<double> && !fg::PlainLoss<void>);
static_assert(fg::PlainBackend::accepts_loss<Loss> && !fg::PlainBackend::accepts_loss<int>);
static_assert(fg::PlainBackend::supports_precision<fg::ModelPrecision>);
static_assert(!fg::PlainBackend::supports_precision<fg::Bfloat16Mixed> && !fg::PlainBackend::supports_precision<fg::Float64>);
static_assert(std::same_as<fg::detail::backend_of<int, fg::ModelPrecision>::type, fg::PlainBackend>);
static_assert(std::same_as<fg::detail::backend_of<OnTensors, fg::Float32>::type, OnTensors::backend<fg::Float32>>);
}  // namespace
