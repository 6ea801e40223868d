// SPDX-License-Identifier: MIT
#include <fulgurite/loop/closure.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Forgetful : toy::Model {
  void optimizer_step(auto&, auto&&, auto&) {}
};
struct Stepping : toy::Model {
  int steps = 0;
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    ++steps;
    optimizer.step(closure);
  }
};
struct Choosy {
  toy::Weight weight;
  std::optional<toy::Loss> training_step(double batch, auto&) {
    if (batch == 2.0) return std::nullopt;
    return toy::Loss{&weight, batch};
  }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};
struct StepsTwice : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    optimizer.step(closure);
    optimizer.step();
  }
};
struct Seeing : toy::Model {
  std::vector<double> slopes;
  void on_before_backward(const auto& loss, auto&) { slopes.push_back(loss.slope); }
  void on_train_batch_end(const auto& result, double, auto&) { slopes.push_back(result.loss->slope); }
};
struct Weighted : toy::Model {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, batch); }
};
}  // namespace

TEST_CASE("an override that does not run the closure is an error") {
  Forgetful model;
  fg::Trainer trainer{model};
  CHECK_THROWS_AS(trainer.fit(toy::counting(2)), std::logic_error);
}

TEST_CASE("an override may step the optimizer") {
  Stepping model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(2));
  CHECK(model.steps == 2);
  CHECK(model.weight.value == -3.0);
}

TEST_CASE("a skipped batch counts in the mean") {
  Choosy model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(4));
  CHECK(model.weight.value == -(0.5 + 3.5));
}

TEST_CASE("hooks and the outcome see the loss that the model computed, undivided") {
  Seeing model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(2));
  CHECK(model.slopes == std::vector{1.0, 1.0, 2.0, 2.0});
  CHECK(model.weight.value == -1.5);
}

TEST_CASE("a weighted window is divided by its weight") {
  Weighted model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(4));
  CHECK(model.weight.value == -2.0);
}

TEST_CASE("a weight of nothing is refused before it is used") {
  Weighted model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(toy::Range{0.0}), std::invalid_argument);
  CHECK_THROWS_AS(trainer.fit(toy::Range{-1.0}), std::invalid_argument);
  CHECK(model.weight.value == 0.0);
}

TEST_CASE("an override that steps twice corrects the mean once") {
  StepsTwice model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(3.0);
  loop.end_epoch();  // two batches, divided by four as they came
  CHECK(model.weight.value == -4.0);
}
