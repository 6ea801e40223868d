// SPDX-License-Identifier: MIT
// What the loop asks of the world of a training, in which order and within which guard: a world of their own shows it.
#include <fulgurite/concepts/backend.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"
#include "support/toy_world.hpp"

namespace fg = fulgurite;
using Lines = std::vector<std::string>;

namespace {

/// Its hooks take part in the order.
struct Hooked : toy::Model {
  toy::World* world;

  explicit Hooked(toy::World& its_world) : world(&its_world) {}

  void setup() { world->note("setup"); }
  void validation_step(double, auto&) { world->note("validation_step"); }
  void on_before_backward(const auto&, auto&) { world->note("on_before_backward"); }
  void on_after_backward(auto&) { world->note("on_after_backward"); }
  void on_before_optimizer_step(auto&, auto&) { world->note("on_before_optimizer_step"); }
  void on_train_batch_end(const auto&, double, auto&) { world->note("on_train_batch_end"); }

  toy::WorldSgd optimizer(toy::Weight& its_weight, const char* name = "it") const { return {{&its_weight}, world, name}; }
};

struct Automatic : Hooked {
  using Hooked::Hooked;

  auto training_step(double batch, auto&) {
    world->note("training_step");
    return toy::Loss{&weight, batch};
  }
  void on_before_zero_grad(auto&, auto&) { world->note("on_before_zero_grad"); }
  void lr_scheduler_step(auto& scheduler, auto&) {
    world->note("lr_scheduler_step " + std::to_string(scheduler.optimizer_index()));
    scheduler.step();
  }
  auto configure_optimizers() {
    world->note("configure_optimizers");
    return fg::optimizer(optimizer(weight)).lr_scheduler(fg::StepLR{.step_size = 100}, fg::EveryStep{});
  }
};

/// Two optimizers; of the first the schedule follows epochs, of the second steps.
struct Pair : Automatic {
  using Automatic::Automatic;
  toy::Weight second;

  auto training_step(double batch, auto&, auto index) {
    world->note("training_step " + std::to_string(index));
    return toy::Loss{index == 0 ? &weight : &second, batch};
  }
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(optimizer(weight, "one")).lr_scheduler(fg::StepLR{.step_size = 100}, fg::EveryEpoch{}),
        fg::optimizer(optimizer(second, "two")).lr_scheduler(fg::StepLR{.step_size = 100}, fg::EveryStep{}));
  }
};

struct ByHand : Hooked {
  using Hooked::Hooked;

  auto training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    optimizer.step();
    return batch;
  }
  auto configure_optimizers() { return optimizer(weight); }
};

Lines joined(const std::vector<Lines>& parts) {
  Lines all;
  for (const Lines& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

TEST_CASE("what a trainer asks of its world: when it is made, and at the start of a fit") {
  toy::World world;
  Automatic model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::MaxEpochs{1}};
  CHECK(world.taken() == Lines{"prepare", "setup", "configure_optimizers", "attach it", "require parameters of it",
                               "note parameters"});
  CHECK(world.parameters == std::vector<const toy::Weight*>{&model.weight});
  CHECK(world.all_told);
  world.parameters.clear();
  trainer.fit(toy::counting(1));
  CHECK(world.taken().front() == "require the same parameters");
  CHECK(world.parameters == std::vector<const toy::Weight*>{&model.weight});
}

TEST_CASE("automatic optimization: batches that open a window, fill it, or are their epoch's last") {
  toy::World world;
  Automatic model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::Accumulate<2>{}, fg::ClipValue{.max = 100.0}, fg::MaxEpochs{1}};
  world.taken();
  trainer.fit(toy::counting(3), toy::counting(1));
  const Lines opens{"training_step (forward)", "on_before_zero_grad", "zero_grad it",     "begin_backward",
                    "check the loss",          "on_before_backward",  "backward",         "on_after_backward"};
  const Lines goes_on{"training_step (forward)", "check the loss", "on_before_backward", "backward", "on_after_backward"};
  const Lines steps{"unscale it",           "on_before_optimizer_step", "clip it",           "step it (full precision)",
                    "update the loss scale", "lr_scheduler_step 0",      "on_train_batch_end"};
  CHECK(world.taken() == joined({{"require the same parameters"}, opens, {"on_train_batch_end"}, goes_on, steps, opens,
                                 steps, {"validation_step (forward)"}}));
  CHECK(model.weight.value == -(1.5 + 3.0));
}

TEST_CASE("a window that the end of an epoch closes: its mean is corrected, and all else is as in a batch") {
  toy::World world;
  Automatic model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  loop.step(4.0);
  world.taken();
  loop.end_epoch();
  CHECK(world.taken() == Lines{"unscale it", "correct it", "on_before_optimizer_step", "step it (full precision)",
                               "update the loss scale", "lr_scheduler_step 0"});
  CHECK(model.weight.value == -4.0);
}

TEST_CASE("two optimizers: both step, then the loss scale moves, then schedules, those by step before those by epoch") {
  toy::World world;
  Pair model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::MaxEpochs{1}};
  world.taken();
  trainer.fit(toy::counting(1));
  const auto trains = [](const std::string& which, const std::string& name) {
    return Lines{"training_step " + which + " (forward)", "on_before_zero_grad", "zero_grad " + name, "begin_backward",
                 "check the loss", "on_before_backward", "backward", "on_after_backward", "unscale " + name,
                 "on_before_optimizer_step", "step " + name + " (full precision)"};
  };
  CHECK(world.taken() ==
        joined({{"require the same parameters"}, trains("0", "one"), trains("1", "two"),
                {"update the loss scale", "lr_scheduler_step 1", "lr_scheduler_step 0", "on_train_batch_end"}}));
}

TEST_CASE("manual optimization: backward and step leave the precision of the forward pass, and the result is the loss") {
  toy::World world;
  ByHand model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::ManualOptimization{}};
  auto loop = trainer.loop();
  world.taken();
  CHECK(loop.step(2.0).loss == 2.0);
  CHECK(world.taken() ==
        Lines{"require the same parameters", "zero_grad it (forward)", "check the loss (full precision)",
              "on_before_backward (full precision)", "begin_backward (full precision)", "backward (full precision)",
              "on_after_backward (full precision)", "note the gradient of it (forward)", "unscale it (full precision)",
              "on_before_optimizer_step (full precision)", "step it (full precision)", "update the loss scale",
              "on_train_batch_end"});
  CHECK(model.weight.value == -2.0);
}

namespace {
struct Secretive : Pair {
  using Pair::Pair;
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::SecretiveSgd{optimizer(weight, "one")}),
                          fg::optimizer(optimizer(second, "two")));
  }
};
}  // namespace

TEST_CASE("the world is told when not all optimizers tell their parameters") {
  toy::World world;
  Secretive model(world);
  const fg::Trainer trainer{model, toy::Worldly{&world}};
  CHECK(world.parameters == std::vector<const toy::Weight*>{&model.second});
  CHECK_FALSE(world.all_told);
}

TEST_CASE("a step whose gradients overflowed is skipped: it counts as that alone, and no schedule advances") {
  const auto trains = [](auto model, const toy::Range& range, const auto&... policies) {
    fg::Trainer trainer{model, toy::Scaled{{model.world}}, policies..., fg::MaxEpochs{1}};
    trainer.fit(range);
    CHECK(trainer.progress().global_step == 1);
    CHECK(trainer.progress().skipped_steps == 1);
    CHECK(trainer.step_count() == 1);
    CHECK(model.weight.value == -1.0);
    const Lines done = model.world->taken();
    CHECK(std::count(done.begin(), done.end(), "update the loss scale") == 2);
    return std::count(done.begin(), done.end(), "lr_scheduler_step 0");
  };
  toy::World world;
  CHECK(trains(Automatic(world), {1.0, 1e6}) == 1);
  CHECK(trains(Automatic(world), {1e6, 1e6, 1.0, 1.0}, fg::Accumulate<2>{}) == 1);
  CHECK(trains(Automatic(world), {1.0, 1.0, 1e6}, fg::Accumulate<2>{}) == 1);
  CHECK(trains(ByHand(world), {1.0, 1e6}, fg::ManualOptimization{}) == 0);
}

TEST_CASE("the loss scale moves only in batches in which gradients were unscaled") {
  const auto updates = [](const toy::Range& range, const auto&... policies) {
    toy::World world;
    Automatic model(world);
    fg::Trainer trainer{model, toy::Scaled{{&world}}, policies...};
    auto loop = trainer.loop();
    std::vector<std::ptrdiff_t> counts;
    for (const double batch : range) {
      loop.step(batch);
      const Lines done = world.taken();
      counts.push_back(std::count(done.begin(), done.end(), "update the loss scale"));
    }
    return counts;
  };
  CHECK(updates({0.0, 1.0, 0.0}) == std::vector<std::ptrdiff_t>{0, 1, 0});
  CHECK(updates({1.0, 1.0, 1.0, 1.0}, fg::Accumulate<2>{}) == std::vector<std::ptrdiff_t>{0, 1, 0, 1});
}

TEST_CASE("what is to be said of the model's modes is said once, at the start of a training, and nothing is no notice") {
  toy::World world;
  Automatic model(world);
  fg::Trainer trainer{model, toy::Worldly{&world}, fg::MaxEpochs{1}};
  const support::Notices notices;
  trainer.fit(toy::counting(2));
  CHECK(notices.all.empty());
  world.modes = "something is off";
  trainer.set_limit(fg::MaxEpochs{3});
  trainer.fit(toy::counting(2));
  CHECK(notices.all == std::vector<std::string>{"something is off"});
}

namespace {
struct FailingBatch : Automatic {
  using Automatic::Automatic;
  auto training_step(double batch, auto& step) {
    if (batch == 3.0) throw std::domain_error("no step");
    return Automatic::training_step(batch, step);
  }
  void validation_step(double batch, auto&) {
    if (batch == 2.0) throw std::domain_error("no validation");
  }
};
}  // namespace

TEST_CASE("errors of a batch are told of which it is, in training and in a validation") {
  toy::World world;
  FailingBatch model(world);
  fg::Trainer trainer{model, toy::Worldly{&world}};
  auto loop = trainer.loop();
  loop.step(1.0, fg::last);
  loop.step(1.0);
  CHECK_THROWS_WITH(loop.validate(toy::counting(2)), "no validation in batch 1 of a validation in epoch 1");
  CHECK_THROWS_WITH(loop.step(3.0), "no step in batch 1 of epoch 1");
}

namespace {
struct RefusesGradients {
  using slot = fg::slots::Clipping;
  void clip(auto&) const { throw fg::NonFiniteGradient(); }
};
}  // namespace

TEST_CASE("a norm of gradients that is not finite is an error that tells of the batch, and of a gradient if one is known") {
  toy::World world;
  Automatic model(world);
  fg::Trainer trainer{model, toy::Worldly{&world}, RefusesGradients{}};
  auto loop = trainer.loop();
  CHECK_THROWS_WITH(loop.step(1.0), fg::NonFiniteGradient("in batch 0 of epoch 0").what());
  world.bad_gradient = "weight";
  CHECK_THROWS_WITH(loop.step(1.0), fg::NonFiniteGradient("in batch 0 of epoch 0, first in weight").what());
}

TEST_CASE("a loss that is not finite is differentiated, to find the gradient; one that cannot be read is not looked at") {
  toy::World world{.bad_gradient = "weight"};
  Automatic model(world);
  fg::Trainer trainer{model, toy::Worldly{&world}};
  auto loop = trainer.loop();
  model.weight.value = 1.0;
  const double infinite = std::numeric_limits<double>::infinity();
  CHECK_THROWS_WITH(loop.step(infinite), Catch::Matchers::ContainsSubstring("first non-finite gradient: weight"));
  CHECK(model.weight.gradient == 0.0);
  CHECK(model.weight.value == 1.0);
  world.losses_readable = false;
  loop.step(2.0);
  CHECK(model.weight.value == -1.0);
}

namespace {

struct SeldomZeroed : Hooked {
  using Hooked::Hooked;
  std::vector<bool> zeroes{false, false, false, false};

  void training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    if (zeroes.at(static_cast<std::size_t>(step.batch_index()))) optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    optimizer.step();
  }
  auto configure_optimizers() { return optimizer(weight); }
};

/// After how many batches it is said that an optimizer steps again without its zero_grad(); 0: never.
std::size_t said_after(const std::vector<bool>& zeroes, bool same_gradient = true) {
  toy::World world{.same_gradient = same_gradient};
  SeldomZeroed model(world);
  model.zeroes = zeroes;
  fg::Trainer trainer{model, toy::Worldly{&world}, fg::ManualOptimization{}};
  const support::Notices notices;
  auto loop = trainer.loop();
  std::size_t after = 0;
  for (std::size_t batch = 1; batch <= zeroes.size(); ++batch) {
    loop.step(1.0);
    if (after == 0 && !notices.all.empty()) after = batch;
  }
  CHECK(notices.all.size() == (after == 0 ? 0u : 1u));
  if (after != 0) {
    CHECK(notices.all.front() ==
          "fulgurite: it steps again without its zero_grad() since its last step, so that gradients add up unless they are "
          "set to 0 in place: call optimizer.zero_grad() before the backward pass");
  }
  return after;
}

}  // namespace

TEST_CASE("by hand: a second step without zero_grad, on gradients that are still there, is mentioned, and no later one") {
  CHECK(said_after({false, false, false, false}) == 2);
  CHECK(said_after({true, false, false, false}) == 2);
  CHECK(said_after({false, true, false, false}) == 0);
  CHECK(said_after({true, true, false, false}) == 0);
  CHECK(said_after({false, false, false}, false) == 0);

  toy::World world;
  SeldomZeroed model(world);
  fg::Trainer trainer{model, toy::Worldly{&world}, fg::ManualOptimization{}};
  const support::Notices notices;
  auto loop = trainer.loop();
  Lines looks;
  for (int batch = 0; batch < 4; ++batch) loop.step(1.0);
  for (const std::string& line : world.taken()) {
    if (line.find("gradient of") != std::string::npos) looks.push_back(line);
  }
  CHECK(looks == Lines{"note the gradient of it (forward)", "compare the gradient of it (forward)",
                       "note the gradient of it (forward)"});
}

namespace {
struct PlainByHand : toy::Model {
  void training_step(double batch, auto& step) {
    step.manual_backward(toy::Loss{&weight, batch});
    step.optimizers().step();
  }
};
}  // namespace

TEST_CASE("in the plain world, gradients stay until they are zeroed") {
  PlainByHand model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  const support::Notices notices;
  trainer.fit(toy::counting(3));
  CHECK(notices.all.size() == 1);
}

namespace {
struct FailingStep : Automatic {
  using Automatic::Automatic;
  bool fails = false;
  void on_before_optimizer_step(auto&, auto&) {
    if (std::exchange(fails, false)) throw std::runtime_error("once");
  }
};
}  // namespace

TEST_CASE("the loss scale is saved and loaded; that it was to move is forgotten with the batch that failed") {
  toy::World world;
  Automatic model(world);
  FailingStep other(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::Accumulate<2>{}};
  fg::Trainer loaded{other, toy::Scaled{{&world}}, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  loop.step(1e6);
  loop.step(1e6);
  CHECK(*trainer.loss_scale().factor == 4.0);

  auto other_loop = loaded.loop();
  other.fails = true;
  other_loop.step(1.0);
  CHECK_THROWS_AS(other_loop.step(1.0), std::runtime_error);
  toy::load(loaded, toy::saved(trainer));
  CHECK(*loaded.loss_scale().factor == 4.0);
  world.taken();
  other_loop.step(1.0);
  const Lines done = world.taken();
  CHECK(std::count(done.begin(), done.end(), "update the loss scale") == 0);
}
