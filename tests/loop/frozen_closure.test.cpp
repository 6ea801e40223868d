// SPDX-License-Identifier: MIT
// What the engine does around a frozen pass, with tapes that record nothing.
#include <fulgurite/loop/frozen_closure.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_floating_point.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"
#include "support/toy_world.hpp"

namespace fg = fulgurite;

namespace {
struct Place {
  bool first;
  double divisor;

  friend bool operator==(Place, Place) = default;
};

/// A world of its own, so that it may have tapes.
struct Backend : fg::PlainBackend {
  using fg::PlainBackend::PlainBackend;
};
template <class Precision>
struct FrozenWorld : toy::WorldBackend<Precision> {
  using toy::WorldBackend<Precision>::WorldBackend;
};

struct Tapes {
  explicit Tapes(const fg::Frozen&) {}

  template <class Model, class Optimizer, class Step, class Batch, class Pass>
  auto run(Model&, Optimizer&, const Step&, const Batch& batch, Place place, Pass&& pass) {
    places.push_back(place);
    return pass(batch);
  }
  template <class Optimizer, class Update>
  void update(Optimizer&, Update&& update) {
    ++updates;
    update();
  }

  void end_epoch() { ++epochs; }

  std::vector<Place> places;
  int epochs = 0;
  int updates = 0;
};

struct Sgd : toy::Sgd {
  template <class>
  using backend = Backend;

  int windows = 0;
  void mark_gradients_new() { ++windows; }
};

struct Model {
  toy::Weight weight;
  int steps = 0;

  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  void on_before_optimizer_step(auto&, auto&) { ++steps; }
  auto configure_optimizers() { return Sgd{{&weight}}; }
};

/// An optimizer whose updates may be on a tape.
struct RepeatingSgd : Sgd {
  static constexpr bool repeats_update = true;
  void bring_rates() {}
  std::uint64_t revision() const { return 0; }
  void for_each_parameter(const auto&) const {}
  void for_each_state(const auto&) const {}
};
struct Repeating {
  toy::Weight weight;

  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return RepeatingSgd{{{&weight}}}; }
};

/// An override of the step that runs its closure, or does not.
struct Overriding : Model {
  bool runs_closure = true;
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    if (runs_closure) optimizer.step(closure);
  }
};
/// Lets through what is not finite.
struct Lets {
  using slot = fg::slots::NonFinite;
  static constexpr bool checks = true;
  static constexpr fg::NonFiniteAction on_non_finite(const fg::NonFiniteReport&) { return fg::NonFiniteAction::ignore; }
};

struct InWorld : toy::WorldSgd {
  template <class Precision>
  using backend = FrozenWorld<Precision>;
};
struct OfWorld : toy::Model {
  toy::World* world;
  explicit OfWorld(toy::World& its_world) : world(&its_world) {}

  auto training_step(double batch, auto&) {
    world->note("training_step");
    return toy::Loss{&weight, batch};
  }
  auto configure_optimizers() { return fg::optimizer(InWorld{{{&weight}, world}}); }
};

}  // namespace

template <>
struct fg::detail::frozen_steps_of<Backend> {
  using type = Tapes;
  template <class>
  static constexpr bool knows = true;
  template <class>
  static constexpr bool holds_only_tensors = true;
};
template <class Precision>
struct fg::detail::frozen_steps_of<FrozenWorld<Precision>> : frozen_steps_of<Backend> {};

TEST_CASE("a frozen pass is told its place in the window, and all else goes on around it") {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::Accumulate<3>{}, fg::ClipValue{.max = 5.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0, 2.0, 7.0});
  CHECK_THAT(model.weight.value, Catch::Matchers::WithinAbs(-(2.0 + 5.0), 1e-15));
  CHECK(model.steps == 2);
  CHECK(trainer.frozen().places == std::vector<Place>{{true, 3}, {false, 3}, {false, 3}, {true, 1}});
  CHECK(trainer.frozen().epochs == 1);
}

TEST_CASE("gradients are marked as new at the first batch of each window, since a replay zeroes them without the optimizer") {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0, 7.0});
  CHECK(trainer.optimizer().windows == 2);
}

TEST_CASE("without accumulation each frozen pass makes a step") {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0});
  CHECK(model.weight.value == -(1.0 + 3.0));
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.progress().skipped_steps == 0);
}

TEST_CASE("a loss that is not finite stops a frozen training before the update") {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::MaxEpochs{1}};
  model.weight.value = 1.0;
  CHECK_THROWS_WITH(trainer.fit(toy::Range{std::numeric_limits<double>::infinity()}),
                    "fulgurite: the loss is inf in epoch 0, batch 0. No optimizer has stepped on it. Lower the learning "
                    "rate or clip gradients to avoid such losses");
  CHECK(model.weight.value == 1.0);
  CHECK(model.weight.gradient == 0.0);
}

TEST_CASE("a frozen update clips the mean, also of a window that turns out to be short") {
  Repeating model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::Accumulate<4>{}, fg::ClipNorm{.max = 1.5}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(3.0);
  loop.end_epoch();
  CHECK(trainer.frozen().updates == 1);
  CHECK(model.weight.value == -1.5);
}

TEST_CASE("clipping that is decided on the host, and the update behind it, are never frozen") {
  Repeating model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::ClipNorm{.max = 1.5, .error_if_nonfinite = true}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 3.0});
  CHECK(trainer.frozen().updates == 0);
  CHECK(model.weight.value == -2.5);
}

TEST_CASE("a frozen pass may be run by the model's optimizer_step, which is told if it does not") {
  Overriding model;
  fg::Trainer trainer{model, fg::Frozen{}};
  trainer.loop().step(2.0);
  CHECK(model.weight.value == -2.0);
  model.runs_closure = false;
  CHECK_THROWS_WITH(trainer.loop().step(2.0), Catch::Matchers::ContainsSubstring("did not run the closure"));
}

TEST_CASE("a frozen training goes on after a loss that its policy lets through") {
  Model model;
  model.weight.value = 1.0;
  fg::Trainer trainer{model, fg::Frozen{}, Lets{}, fg::MaxEpochs{1}};
  const double infinity = std::numeric_limits<double>::infinity();
  trainer.fit(toy::Range{infinity});
  CHECK(model.weight.value == -infinity);
}

TEST_CASE("a frozen pass asks of its world what any pass does, and loss scale and update stay outside of it") {
  toy::World world{.losses_readable = false};
  OfWorld model(world);
  fg::Trainer trainer{model, toy::Scaled{{&world}}, fg::Frozen{}};
  world.taken();
  trainer.loop().step(2.0);
  CHECK(world.taken() == std::vector<std::string>{"require the same parameters", "training_step (forward)", "zero_grad it",
                                                  "check the loss", "backward", "unscale it", "step it (full precision)",
                                                  "update the loss scale"});
  CHECK(model.weight.value == -2.0);
}

TEST_CASE("tapes of a trainer into which a checkpoint is loaded are forgotten") {
  Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
  trainer.loop().step(2.0);
  CHECK(trainer.frozen().places.size() == 1);
  toy::load(trainer, toy::saved(trainer));
  CHECK(trainer.frozen().places.empty());
}
