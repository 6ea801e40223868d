// SPDX-License-Identifier: MIT
// When that is done which a hook has asked for between two batches: that a checkpoint is saved.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;

namespace {

/// Has a checkpoint saved at the first call of `save`.
struct Saving : toy::Model {
  toy::Checkpoint file;
  bool asked = false;

  void save(auto& step) {
    if (!asked) toy::save(step, file);
    asked = true;
  }
};

struct AtEpochStart : Saving {
  void on_train_epoch_start(auto& step) { save(step); }
};
struct InBatch : Saving {
  void on_train_batch_start(double batch, auto& step) {
    if (batch == 2.0) save(step);
  }
};
struct AtSchedulerStep : Saving {
  void lr_scheduler_step(auto& scheduler, auto& step) {
    scheduler.step();
    save(step);
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
  }
};
struct AtEpochsEnd : Saving {
  fg::EpochControl on_train_batch_start(double batch, auto& step) {
    if (batch < 3.0) return fg::EpochControl::go_on;
    save(step);
    return fg::EpochControl::end_epoch;
  }
};

}  // namespace

TEST_CASE("what is asked for at an epoch's start is saved before its first batch") {
  AtEpochStart model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 0);
}

TEST_CASE("what is asked for in a batch is saved after it, in a fit and in a loop of the program's own") {
  InBatch model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  fg::Trainer own{other};
  trainer.fit(toy::counting(4));
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 2);
  auto loop = own.loop();
  loop.step(1.0);
  loop.step(2.0);
  REQUIRE(other.file.saved());
  CHECK(other.file.progress.batches == 2);
}

TEST_CASE("what lr_scheduler_step asks for is saved after the batch whose step it follows") {
  AtSchedulerStep model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 1);
}

TEST_CASE("what is asked for by the hook that ends an epoch is saved then") {
  AtEpochsEnd model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(2.0);
  CHECK(!model.file.saved());
  CHECK(loop.step(3.0).ends_epoch);
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 2);
}
