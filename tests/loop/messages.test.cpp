// SPDX-License-Identifier: MIT
// What a training of plain types says when something is wrong, and that what it advises works.
#include <fulgurite/core.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <optional>
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
struct LeavesOut : Weighs {
  auto training_step(double batch, auto& step) {
    return batch > 1.0 ? std::optional(Weighs::training_step(batch, step)) : std::nullopt;
  }
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

TEST_CASE("an optimizer_step that forgets its closure is refused; running the closure alone is enough") {
  Forgets model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(counting(2)),
                    "fulgurite: the model's optimizer_step did not run the closure, so this batch was not trained: call "
                    "optimizer.step(closure), or closure() alone");
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
    CHECK_THROWS_WITH(trainer.fit(counting(1)),
                      "fulgurite: training_step returned a loss of weight " + fg::detail::text_of(weight) +
                          ": a weight is finite and above 0; return std::nullopt to leave a batch out");
    CHECK(model.weight.value == 0.0);
  }
  LeavesOut model;
  model.weight_of_batch = 2.0;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  CHECK(model.weight.value == -1.0);  // by the first batch
}

TEST_CASE("a range that never ends is refused without a limit, and trained with each that is advised") {
  toy::Model model;
  fg::Trainer trainer{model};
  CHECK_THROWS_WITH(trainer.fit(endless()),
                    "fulgurite: the training range never ends, and no limit ends the fit: give it fg::MaxSteps, fg::MaxTime "
                    "or fg::LimitBatches{.train = fg::Batches{...}}");
  trainer.set_limit(fg::MaxSteps{3});
  trainer.fit(endless());
  CHECK(trainer.progress().global_step == 3);
  toy::Model by_batches, by_time;
  fg::Trainer{by_batches, fg::LimitBatches{.train = fg::Batches{2}}, fg::MaxEpochs{1}}.fit(endless());
  CHECK(by_batches.weight.value == -2.0);
  fg::Trainer{by_time, fg::MaxTime{std::chrono::seconds{0}}, fg::MinSteps{4}}.fit(endless());
  CHECK(by_time.weight.value == -4.0);

  Validates other;
  fg::Trainer validates{other, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(validates.fit(counting(1), endless()),
                    "fulgurite: the validation range never ends: limit it by fg::LimitBatches{.validation = "
                    "fg::Batches{...}}");
  CHECK(validates.progress() == fg::Progress{});
  validates.set_limit(fg::LimitBatches{.validation = fg::Batches{2}});
  validates.fit(counting(1), endless());
  CHECK(validates.progress().epoch == 1);
}

TEST_CASE("a OneCycleLR that is advanced too often says how often and how long it is") {
  const fg::OneCycleLR cycle{.max_lr = 0.1, .total_steps = 2};
  CHECK_THROWS_WITH(
      cycle.lr({.step = 3, .base = 0.1, .current = 0.1}),
      "fulgurite: OneCycleLR was advanced 3 times, but its length is 2 steps: give it the number of optimizer steps of the "
      "whole training");
}
