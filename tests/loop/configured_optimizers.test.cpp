// SPDX-License-Identifier: MIT
// Several optimizers in one training.
#include <fulgurite/loop/configured_optimizers.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
/// Two weights; the loss of the second sees the first.
struct Pair {
  toy::Weight a, b;
  std::string events;

  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) {
    events += "a";
    return toy::Loss{&a, batch};
  }
  auto training_step(double, auto&, fg::OptimizerIndex<1>) {
    events += "b";
    return toy::Loss{&b, a.value};
  }
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, toy::Sgd{&b}); }
};

struct Turns : Pair {
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&a})
                              .frequency(fg::Batches{1})
                              .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{}),
                          fg::optimizer(toy::Sgd{&b})
                              .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{.frequency = 2})
                              .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.1}, fg::EveryEpoch{})
                              .frequency(fg::Batches{2}));
  }
};

struct Hooked : Pair {
  void on_before_zero_grad(auto& optimizer, auto&) { note("z", optimizer); }
  void on_before_optimizer_step(auto& optimizer, auto&) { note("o", optimizer); }
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    if (optimizer.index() == 0 || step.batch_index() % 2 == 1) {
      optimizer.step(closure);
    } else {
      closure();
    }
  }
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    note("c", optimizer);
    if (optimizer.index() == 0) step.clip_gradients(optimizer, fg::ClipValue{.max = 1.0});
  }
  void lr_scheduler_step(auto& scheduler, auto&) {
    events += "s" + std::to_string(scheduler.optimizer_index()) + " ";
    scheduler.step();
  }
  auto configure_optimizers() {
    return fg::optimizers(toy::Sgd{&a}, fg::optimizer(toy::Sgd{&b}).lr_scheduler(fg::StepLR{.step_size = 9}, fg::EveryEpoch{}));
  }

  void note(const char* what, const auto& optimizer) { events += what + std::to_string(optimizer.index()) + " "; }
};

struct ClippedApart : Pair {
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &a : &b, batch}; }
  auto configure_optimizers() {
    return fg::optimizers(toy::Sgd{&a}, fg::optimizer(toy::Sgd{&b}).clip(fg::ClipValue{.max = 2.0}));
  }
};

struct SecondSkips : Pair {
  std::optional<toy::Loss> training_step(double batch, auto&, auto index) {
    if (index == 1 && batch == 2.0) return std::nullopt;
    return toy::Loss{index == 0 ? &a : &b, batch};
  }
};

struct ByHand : Pair {
  void training_step(double batch, auto& step) {
    auto [first, second] = step.optimizers();
    first.zero_grad();
    step.manual_backward(toy::Loss{&a, batch});
    first.step();
    if (step.batch_index() % 2 == 1) {
      auto only = step.optimizer(fg::optimizer_index<1>);
      only.zero_grad();
      step.manual_backward(toy::Loss{&b, a.value});
      second.step();
    }
    if (step.is_last_batch()) step.lr_schedulers().step();
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&a}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}),
                          fg::optimizer(toy::Sgd{&b}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.25}));
  }
};
}  // namespace

TEST_CASE("optimizers step one after the other, and the second sees what the first did") {
  Pair model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 2.0});
  CHECK(model.events == "abab");
  CHECK(model.a.value == -3.0);
  CHECK(model.b.value == 1.0 + 3.0);
  CHECK(trainer.progress().global_step == 4);
  CHECK(trainer.progress().windows == 2);
}

TEST_CASE("the outcome of a batch has the loss of each optimizer") {
  Turns model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  const auto first = loop.step(3.0);
  CHECK(first.stepped);
  CHECK(first.losses[0].has_value());
  CHECK_FALSE(first.losses[1].has_value());
  CHECK(loop.step(3.0).losses[1]->slope == -3.0);
}

TEST_CASE("optimizers that take turns begin anew with each epoch, and their schedules follow their own steps") {
  Turns model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(toy::Range{1.0, 1.0, 1.0, 1.0, 1.0});
  CHECK(model.events == "abbababbab");
  CHECK(trainer.step_count(fg::optimizer_index<0>) == 4);
  CHECK(trainer.step_count(fg::optimizer_index<1>) == 6);
  CHECK(trainer.optimizer(fg::optimizer_index<0>).rate == 1.0 / 16.0);  // after each of its steps
  // After every second of its steps of an epoch, three each, and after each epoch.
  CHECK(trainer.optimizer(fg::optimizer_index<1>).rate == 0.5 * 0.1 * 0.5 * 0.1);
}

TEST_CASE("windows are the same for all optimizers") {
  Pair model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0, 5.0});
  CHECK(model.a.value == -(2.0 + 5.0));
  // Its first window has the gradients 0 and -2, since a steps before it in the second batch.
  CHECK(model.b.value == 1.0 + 7.0);
  CHECK(trainer.progress().windows == 2);
  CHECK(trainer.progress().global_step == 4);
}

TEST_CASE("hooks are told which optimizer") {
  Hooked model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{4.0, 4.0});
  CHECK(model.events == "az0 o0 c0 bz1 az0 o0 c0 bz1 o1 c1 s1 ");
  CHECK(model.a.value == -2.0);                // clipped
  CHECK(model.b.value == 2.0);                 // stepped in the second batch only, on its own gradient
  CHECK(trainer.progress().global_step == 4);  // a hook that ran the closure counts
}

TEST_CASE("each optimizer may be clipped in its own way") {
  ClippedApart model;
  fg::Trainer trainer{model, fg::ClipValue{.max = 1.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{5.0});
  CHECK(model.a.value == -1.0);
  CHECK(model.b.value == -2.0);
}

TEST_CASE("one optimizer may skip a batch that another takes") {
  SecondSkips model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 2.0});
  CHECK(model.a.value == -3.0);
  CHECK(model.b.value == -1.0);
}

TEST_CASE("a model drives several optimizers and all their schedules by hand") {
  ByHand model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 2.0});
  CHECK(model.a.value == -3.0);
  CHECK(model.b.value == 3.0);
  CHECK(trainer.progress().global_step == 3);
  CHECK(trainer.optimizer(fg::optimizer_index<0>).rate == 0.5);
  CHECK(trainer.optimizer(fg::optimizer_index<1>).rate == 0.25);
}
