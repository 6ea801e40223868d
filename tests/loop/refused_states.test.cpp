// SPDX-License-Identifier: MIT
// Which checkpoints a trainer refuses: those of one with other policies, optimizers or schedules.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <exception>
#include <string>
#include <utility>
#include <vector>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"
#include "support/toy_world.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

namespace {

struct Named : toy::Sgd {
  std::string name = "Named";
};
/// A precision of the program's own that changes nothing.
struct OwnPrecision : fg::ModelPrecision {};

struct Plain : toy::Model {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};
struct OtherOptimizer : toy::Model {
  auto configure_optimizers() { return fg::optimizer(Named{{&weight}}); }
};
struct Two : toy::Pair {
  auto training_step(double batch, auto&, auto) { return toy::Loss{&weight, batch}; }
};
struct ByHand : toy::Model {
  void training_step(double, auto&) {}
};
struct Decaying : toy::Model {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}); }
};
struct DecayingOtherwise : toy::Model {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ExponentialLR{.gamma = 0.5}); }
};
struct Worldly : toy::Model {
  toy::World* world;
  explicit Worldly(toy::World& its_world) : world(&its_world) {}
  auto configure_optimizers() { return fg::optimizer(toy::WorldSgd{{&weight}, world}); }
};

template <class Model, class... Policies>
toy::Checkpoint saved(Model model, const Policies&... policies) {
  fg::Trainer trainer{model, policies...};
  return toy::saved(trainer);
}

/// What a trainer says of a checkpoint; nothing if it takes it.
template <class Model, class... Policies>
std::string refusal(const toy::Checkpoint& checkpoint, Model model, const Policies&... policies) {
  fg::Trainer trainer{model, policies...};
  try {
    toy::load(trainer, checkpoint);
  } catch (const std::exception& error) {
    return error.what();
  }
  return {};
}

/// Saved after one batch, in the middle of a window.
toy::Checkpoint saved_in_window() {
  Plain model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  trainer.loop().step(1.0);
  return toy::saved(trainer);
}

constexpr const char* interval_fix =
    ": give the trainer the interval of schedules that it had, or ask for the saved values (fg::ScheduleValues::taken_over)";

}  // namespace

TEST_CASE("a checkpoint is loaded by a trainer like the one that saved it") {
  toy::World world;
  CHECK(refusal(saved(Plain{}), Plain{}).empty());
  CHECK(refusal(saved(ByHand{}, fg::ManualOptimization{}), ByHand{}, fg::ManualOptimization{}).empty());
  CHECK(refusal(saved(Two{}), Two{}).empty());
  CHECK(refusal(saved(Decaying{}), Decaying{}).empty());
  CHECK(refusal(saved(Worldly(world), toy::Scaled{{&world}}), Worldly(world), toy::Scaled{{&world}}).empty());
  CHECK(refusal(saved_in_window(), Plain{}, fg::Accumulate<2>{}).empty());
}

TEST_CASE("a checkpoint of another optimization, loss scale or precision is refused") {
  toy::World world;
  CHECK(refusal(saved(Plain{}), ByHand{}, fg::ManualOptimization{}) ==
        "optimization is automatic there and manual here: give the trainer the policies that it had");
  CHECK(refusal(saved(ByHand{}, fg::ManualOptimization{}), Plain{}) ==
        "optimization is manual there and automatic here: give the trainer the policies that it had");
  CHECK(refusal(saved(Worldly(world), toy::Scaled{{&world}}), Worldly(world), toy::Worldly{&world}) ==
        "loss scale is used there and not used here: give the trainer the precision that it had");
  CHECK(refusal(saved(Worldly(world), toy::Worldly{&world}), Worldly(world), toy::Scaled{{&world}}) ==
        "loss scale is not used there and used here: give the trainer the precision that it had");
  CHECK_THAT(refusal(saved(Plain{}), Plain{}, OwnPrecision{}),
             ContainsSubstring("precision is ") && ContainsSubstring(": give the trainer the precision that it had"));
}

TEST_CASE("a checkpoint of other optimizers is refused: of another number, or another class") {
  CHECK(refusal(saved(Two{}), Plain{}) ==
        "number of optimizers is 2 there and 1 here: make the model with the optimizers that it had");
  CHECK(refusal(saved(Plain{}), Two{}) ==
        "number of optimizers is 1 there and 2 here: make the model with the optimizers that it had");
  CHECK(refusal(saved(Plain{}), OtherOptimizer{}) ==
        "optimizer_0.class is optimizer there and Named here: make the trainer with the optimizer that it was saved with");
}

TEST_CASE("a checkpoint of other schedules is refused: of another number, or another class") {
  CHECK(refusal(saved(Decaying{}), Plain{}) ==
        "optimizer_0.schedules.count is 1 there and 0 here: give the optimizer the schedules that it had when it was saved");
  toy::Checkpoint without = saved(Plain{});
  without.entries.merge(toy::Entries(saved(Decaying{}).entries));  // the interval of schedules, which has none
  CHECK(refusal(without, Decaying{}) ==
        "optimizer_0.schedules.count is 0 there and 1 here: give the optimizer the schedules that it had when it was saved");
  CHECK_THAT(refusal(saved(Decaying{}), DecayingOtherwise{}),
             ContainsSubstring("optimizer_0.schedules.class_0 is ") &&
                 ContainsSubstring("give the optimizer the schedules that it had when it was saved, in the same order"));
}

TEST_CASE("a checkpoint in whose middle of a window it was saved is refused by a trainer of other windows") {
  CHECK(refusal(saved_in_window(), Plain{}, fg::Accumulate<3>{}) ==
        "accumulation window is 2 batches there and 3 batches here: give the trainer the accumulation policy that it had");
  CHECK(refusal(saved_in_window(), Plain{}) ==
        "accumulation window is open, and this trainer has none: give it the fg::Accumulate that it had");
  CHECK(refusal(saved(Plain{}, fg::Accumulate<2>{}), Plain{}, fg::Accumulate<3>{}).empty());
}

TEST_CASE("schedules that advance at other intervals are refused") {
  CHECK_THAT(refusal(saved(Decaying{}, fg::EveryStep{}), Decaying{}),
             ContainsSubstring("schedule_interval is ") &&
                 ContainsSubstring(": give the trainer the interval of schedules that it had"));
  CHECK(refusal(saved(Decaying{}, fg::EveryEpoch{.frequency = 2}), Decaying{}) ==
        std::string("schedule_interval_frequency is 2 there and 1 here") + interval_fix);
}

TEST_CASE("files of earlier versions do not say the interval of schedules: that of the trainer holds") {
  toy::Checkpoint checkpoint = saved(Decaying{}, fg::EveryEpoch{.frequency = 2});
  CHECK(checkpoint.entries.erase("schedule_interval") == 1);
  CHECK(refusal(checkpoint, Decaying{}).empty());
}

TEST_CASE("the frequency of the interval is taken over with the values of schedules, where that is asked for") {
  const auto load = [](const toy::Checkpoint& checkpoint) {
    Decaying model;
    fg::Trainer trainer{model, fg::EveryEpoch{}};
    std::string refused;
    try {
      toy::load(trainer, checkpoint, fg::ScheduleValues::taken_over);
    } catch (const std::exception& error) {
      refused = error.what();
    }
    return std::pair(refused, trainer.policies().scheduler_interval().frequency);
  };
  toy::Checkpoint checkpoint = saved(Decaying{}, fg::EveryEpoch{.frequency = 12});
  using Loaded = decltype(load(checkpoint));
  CHECK(load(checkpoint) == Loaded{"", 12});
  auto& frequency = checkpoint.entries.at("schedule_interval_frequency");
  for (const std::string text : {"", "x", "0x", "2x", "99999999999999999999"}) {
    INFO(text);
    frequency = text;
    CHECK(load(checkpoint) == Loaded{"schedule_interval_frequency is not a number", 1});
  }
  frequency = std::string("0");
  CHECK(load(checkpoint) == Loaded{"fulgurite: EveryEpoch.frequency must be 1 or more", 1});
}

TEST_CASE("what a checkpoint holds stands under the names that older files have") {
  Decaying model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  std::vector<std::string> names;
  for (const auto& [name, value] : toy::saved(trainer).entries) names.push_back(name);
  const std::vector<std::string> of_old{
      "clock.seconds", "epoch_open", "epoch_schedules_done", "epoch_size", "loss scale", "metrics.calls",
      "metrics.metrics", "number of optimizers", "optimization", "optimizer_0.class", "optimizer_0.metric_schedules_due",
      "optimizer_0.schedules.0", "optimizer_0.schedules.class_0", "optimizer_0.schedules.count", "optimizer_0.state",
      "optimizer_0.step_count", "optimizer_0.steps_before_epoch", "optimizer_0.window.batches",
      "optimizer_0.window.corrected", "optimizer_0.window.divisor", "optimizer_0.window.is_odd",
      "optimizer_0.window.left_out", "optimizer_0.window.weight", "precision", "progress.batch", "progress.batches",
      "progress.epoch", "progress.global_step", "progress.skipped_steps", "progress.windows", "schedule_interval",
      "schedule_interval_frequency", "schedules_suspended", "stop_requested", "validated_after"};
  CHECK(names == of_old);
}
