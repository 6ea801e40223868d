// SPDX-License-Identifier: MIT
#include <fulgurite/concepts/optimizer.hpp>

namespace fg = fulgurite;

namespace {
struct Plain {
  void step();
  void zero_grad();
};
struct Rated : Plain {
  std::int64_t group_count() const;
  double lr(std::int64_t) const;
  void set_lr(std::int64_t, double);
};
struct Driven : Rated {
  double momentum(std::int64_t) const;
  void set_momentum(std::int64_t, double);
};
struct Evaluating {
  static constexpr bool needs_closure = true;
  void zero_grad();
};
struct Forgetful {
  void step();
};

static_assert(fg::Optimizer<Plain> && fg::Optimizer<Evaluating>);
static_assert(!fg::Optimizer<Forgetful> && !fg::Optimizer<int>);
static_assert(fg::NeedsClosure<Evaluating> && !fg::NeedsClosure<Plain>);
static_assert(fg::HasLearningRate<Rated> && !fg::HasLearningRate<Plain>);
static_assert(fg::HasMomentum<Driven> && !fg::HasMomentum<Rated>);
static_assert(!fg::HasGradients<Plain> && !fg::ScalesGradients<Plain>);
}  // namespace
