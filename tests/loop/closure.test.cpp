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

namespace {
/// Runs its closure twice, and steps on what is there then. What training_step returns is the test's own.
struct Twice : toy::Model {
  std::vector<bool> gave_loss;

  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    for (int i = 0; i < 2; ++i) {
      if constexpr (std::is_void_v<decltype(closure())>) {  // a window that its epoch's end closes has been run
        closure();
      } else {
        gave_loss.push_back(closure().has_value());
      }
    }
    optimizer.step();
  }
};
struct TwiceSummed : Twice {
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, 4.0); }
};
struct TwiceOnce : Twice {
  std::optional<toy::Loss> training_step(double batch, auto&) {
    if (!gave_loss.empty()) return std::nullopt;
    return toy::Loss{&weight, batch};
  }
};
struct TwiceNotFinite : Twice {
  double second_run = std::nan("");
  auto training_step(double batch, auto&) { return toy::Loss{&weight, gave_loss.empty() ? batch : second_run}; }
};
/// The second evaluation of a search, or the first one, is not finite.
struct Searching : toy::Model {
  struct Search : toy::Sgd {
    static constexpr bool needs_closure = true;
    void step(auto&& closure) {
      closure();
      closure();
    }
  };
  int evaluations = 0, fails_at = 1;
  auto training_step(double batch, auto&) {
    return toy::Loss{&weight, ++evaluations == fails_at ? std::nan("") : batch};
  }
  auto configure_optimizers() { return fg::optimizer(Search{{&weight}}); }
};

std::string loss_error(auto& trainer) {
  try {
    trainer.loop().step(1.0);
  } catch (const fg::NonFiniteLoss& error) {
    return error.what();
  }
  return {};
}
}  // namespace

TEST_CASE("a closure that is run twice counts its batch once, and its weight") {
  TwiceSummed alone, summed;
  fg::Trainer(alone, fg::MaxEpochs{1}).fit(toy::Range{8.0});
  CHECK(alone.weight.value == -2.0);
  fg::Trainer(summed, fg::Accumulate<2>{}, fg::MaxEpochs{1}).fit(toy::Range{8.0});
  CHECK(summed.weight.value == -(8.0 + 8.0) / 4.0);  // in a window both gradients are added

  Twice plain;
  fg::Trainer(plain, fg::Accumulate<2>{}, fg::MaxEpochs{1}).fit(toy::Range{8.0});
  CHECK(plain.weight.value == -(8.0 + 8.0));

  Twice left_out;
  fg::Trainer trainer{left_out, fg::Accumulate<2>{}, fg::SkipNonFinite{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{3.0, std::nan("")});
  CHECK(left_out.weight.value == -3.0);
  CHECK(trainer.progress().skipped_steps == 0);
}

TEST_CASE("the loss of a batch is that of its closure's last run") {
  TwiceOnce model;
  fg::Trainer trainer{model};
  CHECK_FALSE(trainer.loop().step(1.0).loss);
  CHECK(model.gave_loss == std::vector<bool>{true, false});
}

TEST_CASE("a loss that is not finite is one within a search only where a search evaluates again") {
  const std::string cannot_skip =
      "fulgurite: the loss is nan in epoch 0, batch 0. No optimizer has stepped on it. Lower the learning rate or clip "
      "gradients to avoid such losses";
  Searching first, second;
  fg::Trainer of_first{first}, of_second{second};
  second.fails_at = 2;
  CHECK(loss_error(of_first) == cannot_skip);
  CHECK(loss_error(of_second) ==
        "fulgurite: the loss is nan in epoch 0, batch 0. An optimizer that evaluates the loss several times per step "
        "(LBFGS) was in the middle of one: the parameters are where it evaluated last. A lower learning rate keeps it from "
        "going so far");
  TwiceNotFinite twice;
  fg::Trainer of_twice{twice};
  CHECK(loss_error(of_twice) ==
        "fulgurite: the loss is nan in epoch 0, batch 0. No optimizer has stepped on it. To leave such batches out, use "
        "fg::SkipNonFinite; lower the learning rate or clip gradients to avoid them");
}

TEST_CASE("a weight that is not given is 1") {
  struct OfLoss : toy::Model {
    fg::WeightedLoss<toy::Loss> training_step(double batch, fg::Step<OfLoss>&) { return {{&weight, batch}}; }
  };
  OfLoss model;
  fg::Trainer(model, fg::Accumulate<2>{}, fg::MaxEpochs{1}).fit(toy::Range{1.0, 3.0});
  CHECK(model.weight.value == -2.0);
}
