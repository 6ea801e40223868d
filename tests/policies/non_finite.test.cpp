// SPDX-License-Identifier: MIT
#include <fulgurite/policies/non_finite.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <limits>
#include <sstream>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

constexpr double nan_value = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST_CASE("a loss that is not finite stops, and changes nothing") {
  const double loss = GENERATE(nan_value, infinity, -infinity);
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  try {
    trainer.fit(toy::Range{1.0, loss, 2.0});
    FAIL("nothing was thrown");
  } catch (const fg::NonFiniteLoss& error) {
    CHECK(error.epoch() == 0);
    CHECK(error.batch() == 1);
  }
  CHECK(model.weight.value == -1.0);
}

namespace {
struct Pair : toy::Pair {
  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) { return toy::Loss{&weight, batch}; }
  auto training_step(double batch, auto&, fg::OptimizerIndex<1>) {
    return toy::Loss{&second, batch == 2.0 ? nan_value : batch};
  }
};

/// By hand: the second loss of a batch is computed after the first was stepped on.
struct PairByHand : toy::Pair {
  std::vector<bool> added;

  void training_step(double batch, auto& step) {
    auto [first, other] = step.optimizers();
    first.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    first.step();
    other.zero_grad();
    added.push_back(step.manual_backward(toy::Loss{&second, batch == 2.0 ? nan_value : batch}));
    if (added.back()) other.step();
  }
};
}  // namespace

TEST_CASE("of several optimizers, those before the loss that is not finite have stepped") {
  Pair model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(toy::Range{1.0, 2.0, 3.0}),
                    Catch::Matchers::ContainsSubstring("No optimizer has stepped on it"));
  CHECK(model.weight.value == -3.0);
  CHECK(model.second.value == -1.0);
}

namespace {
/// A policy of the program's own.
struct LeavesOut {
  using slot = fg::slots::NonFinite;
  static constexpr bool checks = true;
  fg::NonFiniteAction on_non_finite(const fg::NonFiniteReport&) const { return fg::NonFiniteAction::skip; }
};

/// Evaluates twice, as long as there is a loss.
struct Searches : toy::Sgd {
  static constexpr bool needs_closure = true;
  int evaluations = 0;

  template <class Closure>
  void step(Closure&& closure) {
    for (int i = 0; i < 2; ++i) {
      ++evaluations;
      if (!closure()) return;
    }
    toy::Sgd::step();
  }
};
struct Searched : toy::Model {
  int offered = 0;
  void on_before_optimizer_step(auto&, auto&) { ++offered; }
  auto configure_optimizers() { return Searches{{&weight}}; }
};
}  // namespace

TEST_CASE("a policy of the program's own may leave a batch out of an optimizer that evaluates several times") {
  Searched model;
  fg::Trainer trainer{model, LeavesOut{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, nan_value, 2.0});
  CHECK(model.weight.value == -3.0);
  CHECK(trainer.optimizer().evaluations == 2 + 1 + 2);  // it is given no loss
  CHECK(model.offered == 2 + 2);
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.progress().skipped_steps == 1);
}

TEST_CASE("by hand, a loss that is not finite stops the run, is left out, or goes through") {
  PairByHand stops;
  fg::Trainer stopping{stops, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  try {
    stopping.fit(toy::Range{1.0, 2.0, 3.0});
    FAIL("nothing was thrown");
  } catch (const fg::NonFiniteLoss& error) {
    CHECK(error.batch() == 1);
    CHECK(std::isnan(error.loss()));
  }
  CHECK(stops.weight.value == -3.0);
  CHECK(stops.second.value == -1.0);
  CHECK(stopping.progress().global_step == 3);

  PairByHand skips;
  fg::Trainer(skips, fg::ManualOptimization{}, fg::SkipNonFinite{}, fg::MaxEpochs{1}).fit(toy::Range{1.0, 2.0, 3.0});
  CHECK(skips.added == std::vector<bool>{true, false, true});
  CHECK(skips.weight.value == -6.0);
  CHECK(skips.second.value == -4.0);

  PairByHand ignores;
  fg::Trainer(ignores, fg::ManualOptimization{}, fg::IgnoreNonFinite{}, fg::MaxEpochs{1}).fit(toy::Range{1.0, 2.0, 3.0});
  CHECK(std::isnan(ignores.second.value));
}

TEST_CASE("a batch that is not finite is skipped, and no schedule advances for it") {
  struct Decaying : toy::Model {
    auto configure_optimizers() {
      return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
    }
  } model;
  fg::Trainer trainer{model, fg::SkipNonFinite{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, nan_value, 2.0});
  CHECK(model.weight.value == -2.0);
  CHECK(trainer.progress().skipped_steps == 1);
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.optimizer().rate == 0.25);
}

namespace {
/// Counts its steps: with momentum or weight decay each would change parameters, whatever the gradient.
struct CountingSgd : toy::Sgd {
  int steps = 0;
  void step() {
    ++steps;
    toy::Sgd::step();
  }
};
struct Counting : toy::Model {
  auto configure_optimizers() { return fg::optimizer(CountingSgd{{&weight}}); }
};
}  // namespace

TEST_CASE("an optimizer makes no step on a window whose batches were all left out") {
  Counting model;
  fg::Trainer trainer{model, fg::SkipNonFinite{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, nan_value, 2.0});
  CHECK(trainer.optimizer().steps == 2);

  Counting accumulated;
  fg::Trainer other{accumulated, fg::SkipNonFinite{}, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  other.fit(toy::Range{1.0, 3.0, nan_value, infinity, nan_value, 4.0});
  CHECK(other.optimizer().steps == 2);
  CHECK(accumulated.weight.value == -(2.0 + 4.0));
}

TEST_CASE("a loss that is not finite drops the window that it came in") {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  loop.step(1.0);
  CHECK_THROWS_AS(loop.step(nan_value), fg::NonFiniteLoss);
  loop.step(2.0);
  CHECK(model.weight.value == 0.0);
  loop.step(3.0);
  CHECK(model.weight.value == -2.5);
}

TEST_CASE("non-finite policies are equal to themselves and printed by their names") {
  CHECK(fg::StopOnNonFinite{} == fg::StopOnNonFinite{});
  CHECK(fg::SkipNonFinite{} == fg::SkipNonFinite{});
  CHECK(fg::IgnoreNonFinite{} == fg::IgnoreNonFinite{});
  std::ostringstream out;
  out << fg::StopOnNonFinite{} << ' ' << fg::SkipNonFinite{} << ' ' << fg::IgnoreNonFinite{};
  CHECK(out.str() == "StopOnNonFinite SkipNonFinite IgnoreNonFinite");
}
