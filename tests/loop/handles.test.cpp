// SPDX-License-Identifier: MIT
#include <fulgurite/loop/handles.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct WarmUp : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    static_assert(std::remove_cvref_t<decltype(optimizer)>::index() == 0);
    if (step.global_step() < 2) optimizer.set_lr(0.25 * static_cast<double>(step.global_step() + 1));
    optimizer.step(closure);
  }
};
struct ClosureFirst : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.step();
  }
};
}  // namespace

TEST_CASE("a learning rate is warmed up by hand through the handle") {
  WarmUp model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 1.0, 1.0});
  CHECK(model.weight.value == -(0.25 + 0.5 + 0.5));
}

TEST_CASE("a closure that ran before the step gives it its gradients") {
  ClosureFirst model;
  fg::Trainer trainer{model, fg::ClipValue{.max = 1.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{3.0});
  CHECK(model.weight.value == -1.0);
  CHECK(trainer.progress().global_step == 1);
}
