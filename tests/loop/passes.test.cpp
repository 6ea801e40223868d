// SPDX-License-Identifier: MIT
#include <fulgurite/loop/passes.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Diary : toy::Model {
  std::vector<std::string> events;

  auto training_step(double batch, auto& step) {
    step.log("batch", batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto&) { events.push_back("step"); }
  void on_validation_start(auto&) { events.push_back("start"); }
  void on_validation_epoch_start(auto&) { events.push_back("epoch_start"); }
  void on_validation_batch_start(double, auto&) { events.push_back("batch_start"); }
  void on_validation_batch_end(double, auto&) { events.push_back("batch_end"); }
  void on_validation_epoch_end(auto&) { events.push_back("epoch_end"); }
  void on_validation_end(auto&) { events.push_back("end"); }
  void on_after_backward(auto&) { events.push_back("backward"); }
};

struct LooksBack {
  using slot = fg::slots::Callback;
  std::int64_t batches = 0;
  void on_train_end(auto& run) { batches = run.pass_forward(); }
};

struct Indices : toy::Model {
  std::vector<std::int64_t> seen;

  void note(auto& step) { seen.push_back(step.batch_index()); }
  void on_validation_batch_start(double, auto& step) { note(step); }
  void validation_step(double, auto& step) { note(step); }
  void on_validation_batch_end(double, auto& step) { note(step); }
};

/// Notes which epoch it is told to begin.
struct Drawn : toy::Range {
  using toy::Range::Range;
  std::vector<std::int64_t> epochs;
  void set_epoch(std::int64_t epoch) { epochs.push_back(epoch); }
};
}  // namespace

TEST_CASE("a validation calls its hooks in order") {
  Diary model;
  fg::Trainer trainer{model};
  trainer.validate(toy::counting(2));
  CHECK(model.events == std::vector<std::string>{"start", "epoch_start", "batch_start", "step", "batch_end", "batch_start",
                                                 "step", "batch_end", "epoch_end", "end"});
}

TEST_CASE("a validation batch has one index in all of its hooks") {
  Indices model;
  fg::Trainer trainer{model};
  trainer.validate(toy::counting(2));
  CHECK(model.seen == std::vector<std::int64_t>{0, 0, 0, 1, 1, 1});
}

TEST_CASE("each validation sees the order of epoch 0, whichever epoch is trained") {
  Diary model;
  Drawn train{1.0}, validation{1.0, 2.0};
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(train, validation);
  trainer.validate(validation);
  CHECK(train.epochs == std::vector<std::int64_t>{0, 1});
  CHECK(validation.epochs == std::vector<std::int64_t>{0, 0, 0});
}

TEST_CASE("a forward pass updates nothing and logs nothing") {
  Diary model;
  fg::Trainer trainer{model, LooksBack{}, fg::MaxSteps{1}};
  trainer.fit(toy::counting(3));
  CHECK(trainer.callback<LooksBack>().batches == 3);
  CHECK(model.weight.value == -1.0);
  CHECK(trainer.metric("batch") == 1.0);  // of the batch that was trained, not of the pass
}

namespace {
struct LogsBefore : toy::Model {
  void on_validation_start(auto& step) { step.log("calls", 1, fg::epoch_sum); }
  void validation_step(double, auto& step) { step.log("calls", 1, fg::epoch_sum); }
};
}  // namespace

TEST_CASE("what is logged when a validation starts belongs to it") {
  LogsBefore model;
  fg::Trainer trainer{model};
  for (int i = 0; i < 2; ++i) {
    trainer.validate(toy::counting(2));
    CHECK(trainer.metric("calls") == 3.0);
  }
}
