// SPDX-License-Identifier: MIT
// Which evaluation of a step counts in the metrics.
#include <fulgurite/loop/evaluations.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

/// Evaluates three times, at 1, 2 and 3 after where it was, and ends at the last.
struct Searches : toy::Sgd {
  static constexpr bool needs_closure = true;

  template <class Closure>
  void step(Closure&& closure) {
    for (int i = 0; i < 3; ++i) {
      weight->value += 1.0;
      closure();
    }
  }
};
/// The same, but it goes back to one of them; -1 is to where it was.
template <int Accepted>
struct GoesBackTo : Searches {
  template <class Closure>
  void step(Closure&& closure) {
    Searches::step(closure);
    weight->value -= 2.0 - Accepted;
  }
  std::int64_t accepted_evaluation() const { return Accepted; }
};
using GoesBack = GoesBackTo<1>;

template <class Optimizer>
struct Model : toy::Model {
  std::vector<double> seen;

  auto training_step(double batch, auto& step) {
    step.log("loss", weight.value * batch, fg::on_step | fg::on_epoch);
    step.log("count", 1, fg::epoch_sum);
    seen.push_back(step.metrics().value("count").value_or(0.0));
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_start(double, auto& step) { step.log("before", 1.0, fg::epoch_sum); }
  auto configure_optimizers() { return fg::optimizer(Optimizer{{&this->weight}}); }
};

template <class Optimizer>
struct ByHand : Model<Optimizer> {
  void training_step(double batch, auto& step) {
    step.log("outside", 1, fg::epoch_sum);
    step.optimizers().step([&] { return Model<Optimizer>::training_step(batch, step); });
  }
};

}  // namespace

TEST_CASE("an epoch's mean has one evaluation of each step: the last, or the one that the optimizer accepted") {
  Model<Searches> last;
  fg::Trainer trainer{last, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 10.0});
  CHECK(trainer.metric("loss_epoch") == (3.0 + 60.0) / 2.0);
  CHECK(trainer.metric("loss_step") == 60.0);
  CHECK(trainer.metric("count") == 2.0);
  CHECK(trainer.metric("before") == 2.0);
  CHECK(trainer.metrics().find("loss")->count == 2);
  CHECK(last.seen == std::vector<double>{1.0, 1.0, 1.0, 2.0, 2.0, 2.0});

  Model<GoesBack> back;
  fg::Trainer other{back, fg::MaxEpochs{1}};
  other.fit(toy::Range{1.0, 10.0});
  CHECK(other.metric("loss_epoch") == (2.0 + 40.0) / 2.0);
  CHECK(other.metric("loss_step") == 40.0);
  CHECK(other.metric("count") == 2.0);
}

TEST_CASE("the first evaluation may be the one that counts; the last is if it is accepted, or if none is") {
  const auto loss = [](auto optimizer) {
    Model<decltype(optimizer)> model;
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    trainer.fit(toy::Range{1.0});
    CHECK(trainer.metric("count") == 1.0);
    return trainer.metric("loss_epoch");
  };
  CHECK(loss(GoesBackTo<0>{}) == 1.0);
  CHECK(loss(GoesBackTo<2>{}) == 3.0);
  CHECK(loss(GoesBackTo<-1>{}) == 3.0);
}

TEST_CASE("by hand too, and what is logged outside of the closure is not touched") {
  ByHand<GoesBack> model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 10.0});
  CHECK(trainer.metric("loss_epoch") == (2.0 + 40.0) / 2.0);
  CHECK(trainer.metric("count") == 2.0);
  CHECK(trainer.metric("outside") == 2.0);
}
