// SPDX-License-Identifier: MIT
#include <fulgurite/loop/closure.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
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
struct StepsTwiceWeighted : StepsTwice {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, 4.0); }
};
/// The batch is the weight of its loss.
struct OfWeight : toy::Model {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, 1.0}, batch); }
};
/// Four examples a batch.
struct Summed : toy::Model {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, 4.0); }
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

TEST_CASE("a weight of nothing, or of no finite number, is refused before it is used") {
  constexpr double infinity = std::numeric_limits<double>::infinity();
  OfWeight model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  for (const double weight : {0.0, -1.0, infinity, -infinity, std::nan("")}) {
    INFO(weight);
    CHECK_THROWS_AS(trainer.fit(toy::Range{weight}), std::invalid_argument);
  }
  CHECK(model.weight.value == 0.0);
  CHECK(model.weight.gradient == 0.0);
}

TEST_CASE("it is the mean that is clipped: of a weighted loss, and of a window that turns out to be short") {
  for (const double sum : {2.0, 8.0}) {
    Summed model;
    fg::Trainer trainer{model, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{1}};
    trainer.fit(toy::Range{sum});
    CHECK(model.weight.value == -std::min(1.0, sum / 4.0));
  }
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::ClipNorm{.max = 1.5}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(3.0);
  loop.end_epoch();
  CHECK(model.weight.value == -1.5);
}

TEST_CASE("an override that steps twice corrects the mean once") {
  StepsTwice model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(3.0);
  loop.end_epoch();  // two batches, divided by four as they came
  CHECK(model.weight.value == -4.0);

  StepsTwiceWeighted weighted;
  fg::Trainer other{weighted, fg::MaxEpochs{1}};
  other.fit(toy::Range{8.0});
  CHECK(weighted.weight.value == -4.0);
}
