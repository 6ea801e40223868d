// SPDX-License-Identifier: MIT
// What a load leaves of the training that went before it in the same trainer: nothing.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <functional>
#include <iterator>
#include <list>
#include <utility>
#include <vector>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {

/// Asks to stop in its second batch, and counts validations.
struct Stopping : toy::Model {
  int validations = 0;
  std::list<toy::Checkpoint> saved;

  auto training_step(double batch, auto& step) {
    if (step.progress().batches == 1) step.stop();
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto&) { ++validations; }
  void on_train_batch_end(const auto&, double, auto& step) { toy::save(step, saved.emplace_back()); }
};

struct Counting : toy::Model {
  int epochs = 0;
  void on_train_epoch_start(auto&) { ++epochs; }
};

/// What is asked for asks for something itself.
struct AskingTwice : toy::Model {
  std::vector<std::int64_t> done_after;  // batches

  void on_train_batch_start(double batch, auto& step) {
    if (batch != 1.0) return;
    step.when_at_rest([this](auto& engine) {
      done_after.push_back(engine.progress().batches);
      engine.when_at_rest([this](auto& later) { done_after.push_back(later.progress().batches); });
    });
  }
};

}  // namespace

TEST_CASE("a file of before that does not say when a validation was made: none has been made after its last batch") {
  const toy::Range validation{1.0};
  Stopping model, other;
  fg::Trainer trainer{model, fg::MinEpochs{2}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(4), validation);
  toy::Checkpoint file = *std::next(model.saved.begin());  // with the request, which waits
  CHECK(file.progress.batches == 2);
  CHECK(file.entries.erase("validated_after") == 1);

  fg::Trainer loaded{other, fg::MaxEpochs{1}};
  loaded.fit(toy::counting(2), validation);
  CHECK(loaded.progress().batches == 2);
  other.validations = 0;
  toy::load(loaded, file);
  loaded.fit(toy::counting(4), validation);
  CHECK(loaded.progress().batches == 2);
  CHECK(other.validations == 1);  // that of the request to stop
}

TEST_CASE("an epoch of the program's own loop is forgotten: the loop begins the next, or goes on in one that was loaded") {
  Counting model, other;
  fg::Trainer trainer{model};
  fg::Trainer loaded{other};
  auto loop = trainer.loop();
  loop.step(1.0);
  const toy::Checkpoint within = toy::saved(trainer);
  loop.end_epoch();
  auto its_loop = loaded.loop();
  its_loop.step(1.0);
  toy::load(loaded, toy::saved(trainer));
  its_loop.step(2.0);
  CHECK(other.epochs == 2);
  toy::load(loaded, within);
  its_loop.step(2.0);
  CHECK(other.epochs == 2);
}

TEST_CASE("what is asked for between two batches is done between the next two") {
  AskingTwice model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(model.done_after == std::vector<std::int64_t>{1, 2});
}

namespace {
/// Steps the loop of its own trainer.
struct Stepping : toy::Model {
  std::function<void()> step_loop;
  void on_train_batch_start(double, auto&) {
    if (step_loop) std::exchange(step_loop, nullptr)();
  }
};
}  // namespace

TEST_CASE("a fit that goes on in an epoch in which a loop of the program's own went on refuses that loop meanwhile") {
  Stopping saving;
  fg::Trainer(saving, fg::MinEpochs{1}, fg::MaxEpochs{1}).fit(toy::counting(3));
  Stepping model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  toy::load(trainer, saving.saved.front());
  trainer.loop().step(2.0);
  model.step_loop = [&] { trainer.loop().step(1.0); };
  CHECK_THROWS_WITH(trainer.fit(toy::counting(3)),
                    Catch::Matchers::ContainsSubstring("loop.step was called in a hook of a fit"));
}
