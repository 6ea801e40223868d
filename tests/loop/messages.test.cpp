// SPDX-License-Identifier: MIT
// What a training of plain types says when something is wrong, and that what it advises works.
#include <fulgurite/core.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstddef>
#include <iterator>
#include <stdexcept>
#include <string>

#include "support/toy.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using toy::counting;

namespace {

struct Forgets : toy::Model {
  bool runs_alone = false;
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    if (!runs_alone) return;
    closure();
    optimizer.step();
  }
};

struct Weighs : toy::Model {
  double weight_of_batch = 0.0;
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, weight_of_batch); }
};

struct Validates : toy::Model {
  void validation_step(double, auto&) {}
};

struct Endless {
  struct Iterator {
    using difference_type = std::ptrdiff_t;
    double operator*() const { return 1.0; }
    Iterator& operator++() { return *this; }
    void operator++(int) {}
  };
  Iterator begin() const { return {}; }
  std::unreachable_sentinel_t end() const { return {}; }
};
Endless endless() { return {}; }

}  // namespace

TEST_CASE("an optimizer_step that forgets its closure is told so; running the closure alone is enough") {
  Forgets model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(counting(2)), ContainsSubstring("the model's optimizer_step did not run the closure, so this batch "
                                                                "was not trained"));
  CHECK(model.weight.value == 0.0);
  model.runs_alone = true;
  trainer.fit(counting(2));
  CHECK(model.weight.value == -3.0);
}

TEST_CASE("a loss of no weight is refused with its weight, before anything is trained") {
  for (const double weight : {0.0, -1.0, std::nan("")}) {
    Weighs model;
    model.weight_of_batch = weight;
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    CHECK_THROWS_WITH(trainer.fit(counting(1)), ContainsSubstring("training_step returned a loss of weight " + std::to_string(weight)));
    CHECK(model.weight.value == 0.0);
  }
}

TEST_CASE("a range that never ends is refused without a limit, and trained with each that is advised") {
  toy::Model model;
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(trainer.fit(endless()), ContainsSubstring("the training range never ends, and no limit ends the fit"));
  trainer.set_limit(fg::MaxSteps{3});
  trainer.fit(endless());
  CHECK(trainer.progress().global_step == 3);

  Validates other;
  fg::Trainer validates{other, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(validates.fit(counting(1), endless()), ContainsSubstring("the validation range never ends"));
  CHECK(validates.progress() == fg::Progress{});
  validates.set_limit(fg::LimitBatches{.validation = fg::Batches{2}});
  validates.fit(counting(1), endless());
  CHECK(validates.progress().epoch == 1);
}

TEST_CASE("a OneCycle that is advanced too often says how often and how long it is") {
  const fg::OneCycle cycle{.max_lr = 0.1, .total_steps = 2};
  CHECK_THROWS_WITH(cycle.lr({.step = 3, .base = 0.1, .current = 0.1}),
                    ContainsSubstring("OneCycle was advanced 3 times, but its total_steps is 2"));
}

TEST_CASE("policies say what their values must be") {
  const auto problem = [](const auto& policy) { return std::string(policy.problem()); };
  CHECK_THAT(problem(fg::AccumulateSchedule{}), ContainsSubstring("has no stages"));
  CHECK_THAT(problem(fg::AccumulateSchedule{.stages = {{2, 1}, {1, 2}}}), ContainsSubstring("must be listed by rising from_epoch"));
  CHECK_THAT(problem(fg::ClipNorm{.norm_type = 0.0}), ContainsSubstring("norm_type must be above 0"));
  CHECK_THAT(problem(fg::LimitBatches{.train = fg::Fraction{1.5}}), ContainsSubstring("LimitBatches.train must be Batches"));
  CHECK_THAT(problem(fg::LimitBatches{.validation = fg::Batches{-1}}), ContainsSubstring("LimitBatches.validation must be Batches"));
  CHECK_THAT(problem(fg::ValidateEvery{.interval = fg::Fraction{0.0}}), ContainsSubstring("ValidateEvery.interval must be Batches"));
  CHECK_THAT(problem(fg::OneCycle{.max_lr = 0.1, .total_steps = 9, .rising = 1.5}), ContainsSubstring("rising must lie in [0, 1]"));
}
