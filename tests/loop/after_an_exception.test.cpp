// SPDX-License-Identifier: MIT
// What an exception that leaves a fit, or a fit that was cut short, must not leave behind for the training that follows.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {

/// Fails once in training or validation, at the batch `fails_at`.
struct Failing : toy::Model {
  double fails_at = 2.0;
  bool in_validation = false;

  void fail_at(double batch) {
    if (batch != fails_at) return;
    fails_at = -1.0;
    throw std::runtime_error("once");
  }
  auto training_step(double batch, auto& step) {
    step.log("loss", batch);
    if (!in_validation) fail_at(batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto&) {
    if (in_validation) fail_at(batch);
  }
};

struct CountingBatches : Failing {
  std::vector<std::optional<std::int64_t>> counts;
  void on_train_batch_start(double, auto& step) { counts.push_back(step.batch_count()); }
};

struct OnPlateau : Failing {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0}, fg::EveryStep{});
  }
};

struct Saving : Failing {
  toy::Checkpoint file;
  void on_train_batch_start(double batch, auto& step) {
    if (batch == fails_at) toy::save(step, file);
  }
};

struct Stopping : toy::Model {
  auto training_step(double batch, auto& step) {
    if (batch == 2.0) step.stop();
    return toy::Loss{&weight, batch};
  }
};

}  // namespace

TEST_CASE("a fit that threw leaves no length of its epoch to a loop of the program's own") {
  CountingBatches model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(toy::counting(5)), std::runtime_error);
  CHECK(model.counts == std::vector<std::optional<std::int64_t>>{5, 5});
  model.counts.clear();
  auto loop = trainer.loop();
  for (int batch = 1; batch <= 8; ++batch) loop.step(static_cast<double>(batch));
  CHECK(model.counts == std::vector<std::optional<std::int64_t>>(8));
  CHECK(model.weight.value == -(2.5 + 6.5));
}

TEST_CASE("a plateau by step is not fed with the value of a batch whose fit threw before the next one") {
  OnPlateau model;
  model.in_validation = true;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(toy::Range{1.0}, toy::Range{2.0}), std::runtime_error);
  trainer.fit(toy::Range{4.0, 3.0, 2.0}, toy::Range{2.0});
  CHECK(trainer.optimizer().rate == 1.0);
}

TEST_CASE("what a fit that threw was asked to save is not saved by the next") {
  Saving model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(toy::counting(3)), std::runtime_error);
  trainer.fit(toy::counting(3));
  CHECK(trainer.progress().epoch == 1);
  CHECK(!model.file.saved());
}

TEST_CASE("a window that a stop cut short is dropped: the next fit begins its own") {
  Stopping model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  trainer.fit(toy::counting(6));
  CHECK(trainer.progress().batches == 2);
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(toy::Range{10.0, 20.0, 30.0, 40.0});
  CHECK(model.weight.value == -25.0);
}

namespace {

/// Fails once before its second step, or in its first backward pass.
struct FailingStep : toy::Model {
  int steps = 0;
  int fails_at = 2;

  void on_before_optimizer_step(auto&, auto&) {
    if (++steps == fails_at) throw std::runtime_error("once");
  }
};
struct FailingWeighted : toy::Model {
  bool fails = true;

  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, 4.0); }
  void on_before_backward(const auto&, auto&) {
    if (std::exchange(fails, false)) throw std::runtime_error("once");
  }
};

/// Two hosts: the first asks for a file when an epoch starts, the second fails there.
struct Asking {
  using slot = fg::slots::Callback;
  toy::Checkpoint* file;

  void on_train_epoch_start(auto& step) { toy::save(step, *file); }
};
struct FailingStart : toy::Model {
  bool fails = true;

  void on_train_epoch_start(auto&) {
    if (std::exchange(fails, false)) throw std::runtime_error("once");
  }
};

}  // namespace

TEST_CASE("in a loop of the program's own, a window whose step failed is dropped: the next batch begins another") {
  FailingStep model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  for (const double batch : {1.0, 3.0, 5.0}) loop.step(batch);
  CHECK_THROWS_AS(loop.step(7.0), std::runtime_error);
  loop.step(10.0);
  loop.step(30.0);
  CHECK(model.weight.value == -2.0 - 20.0);
  loop.step(100.0);
  model.fails_at = 4;
  CHECK_THROWS_AS(loop.end_epoch(), std::runtime_error);  // one that the epoch's end closes
  loop.step(1.0);
  loop.end_epoch();
  CHECK(model.weight.value == -2.0 - 20.0 - 1.0);
}

TEST_CASE("a weighted loss whose backward pass failed has no weight in its window") {
  FailingWeighted model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  CHECK_THROWS_AS(loop.step(100.0), std::runtime_error);
  loop.step(8.0);
  loop.step(16.0);
  CHECK(model.weight.value == -3.0);
}

TEST_CASE("what a hook asked for at the start of an epoch that failed there is not done later") {
  FailingStart model;
  toy::Checkpoint file;
  fg::Trainer trainer{model, Asking{.file = &file}};
  auto loop = trainer.loop();
  CHECK_THROWS_AS(loop.step(1.0), std::runtime_error);
  loop.step(1.0);
  loop.end_epoch();
  CHECK_FALSE(file.saved());
}

namespace {
/// Asks for something that fails, after its first batch.
struct AsksForTrouble : toy::Model {
  void on_train_batch_end(const auto&, double batch, auto& step) {
    if (batch == 1.0) step.when_at_rest([](auto&) { throw std::runtime_error("no space left"); });
  }
};

/// Saves after its first batch, and may fail in its third.
struct FailingLater : toy::Model {
  bool fails = false;
  toy::Checkpoint file;
  std::vector<double> trained;

  auto training_step(double batch, auto&) {
    if (batch == 3.0 && std::exchange(fails, false)) throw std::runtime_error("once");
    trained.push_back(batch);
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_end(const auto&, double batch, auto& step) {
    if (batch == 1.0) toy::save(step, file);
  }
};
}  // namespace

TEST_CASE("when what a batch of the program's own loop asked for fails, the loop goes on with the next batch") {
  AsksForTrouble model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  CHECK_THROWS_AS(loop.step(1.0), std::runtime_error);
  loop.step(2.0);
  loop.end_epoch();
  CHECK(model.weight.value == -3.0);
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("a fit that goes on in an epoch and fails in a later batch of it leaves an epoch to be begun anew") {
  FailingLater model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  toy::load(resumed, model.file);
  other.fails = true;
  CHECK_THROWS_AS(resumed.fit(toy::counting(3)), std::runtime_error);
  resumed.fit(toy::counting(3));
  CHECK(other.trained == std::vector<double>{2.0, 1.0, 2.0, 3.0});
}
