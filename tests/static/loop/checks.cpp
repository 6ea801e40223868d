// SPDX-License-Identifier: MIT
#include <fulgurite/loop/checks.hpp>

#include "support/toy.hpp"

namespace fg = fulgurite;
using fg::detail::trainer_works;

namespace {
struct Last final : toy::Model {};
struct NoStep {
  auto configure_optimizers() { return toy::Sgd{}; }
};
struct NoOptimizer : toy::Model {
  int configure_optimizers() { return 0; }
};
struct Observer {
  using slot = fg::slots::Callback;
  void on_fit_start(auto&) {}
};
struct Idle {
  using slot = fg::slots::Callback;
};

static_assert(trainer_works<toy::Model>());
static_assert(trainer_works<toy::Model, fg::ClipNorm, fg::Accumulate<4>, fg::MaxEpochs, Observer>());
static_assert(trainer_works<toy::Model, fg::ManualOptimization>());
static_assert(!trainer_works<Last>() && !trainer_works<NoStep>() && !trainer_works<NoOptimizer>());
static_assert(!trainer_works<toy::Model, int>() && !trainer_works<toy::Model, fg::ClipNorm, fg::ClipValue>());
static_assert(!trainer_works<toy::Model, fg::Bfloat16Mixed>() && !trainer_works<toy::Model, Idle>());

using Engine = fg::detail::engine_of<toy::Model>::type;
static_assert(fg::detail::batch_works<Engine, toy::Model, double>());
static_assert(!fg::detail::batch_works<Engine, toy::Model, const char*>());
static_assert(std::same_as<fg::detail::engine_of<toy::Model, fg::ClipNorm, fg::Accumulate<2>>::type,
                           fg::detail::engine_of<toy::Model, fg::MaxEpochs, fg::Accumulate<2>, fg::ClipNorm>::type>);
}  // namespace
