// SPDX-License-Identifier: MIT
// When the trainer feeds schedules that follow a metric, and with what.
#include <fulgurite/loop/schedule_steps.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
using Loss = fg::ReduceLROnPlateau<"val_loss">;

/// Logs the metric that it is given, one value a validation.
template <class Schedule, class Interval = fg::EveryEpoch>
struct Validated : toy::Model {
  Validated(Schedule given, std::vector<double> values, Interval when = {})
      : schedule(given), interval(when), metrics(std::move(values)) {}

  Schedule schedule;
  Interval interval;
  std::vector<double> metrics;
  std::size_t validations = 0;
  std::vector<double> rates;  // at each batch

  auto training_step(double batch, auto& step) {
    rates.push_back(step.optimizers().lr());
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("val_loss", metrics.at(validations)); }
  void on_validation_end(auto& /*step*/) { ++validations; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(schedule, interval); }
};

const toy::Range one{1.0};
const toy::Range two{1.0, 1.0};
}  // namespace

TEST_CASE("an epoch's plateau schedule sees the epoch's validation") {
  Validated model(Loss{.factor = 0.5, .patience = 0}, {3.0, 3.0, 2.0, 2.0});
  fg::Trainer trainer{model, fg::MaxEpochs{4}};
  trainer.fit(two, one);
  CHECK(model.rates == std::vector<double>{1.0, 1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.5});
  CHECK(trainer.optimizer().lr(0) == 0.25);
}

TEST_CASE("every n-th epoch only") {
  Validated model(Loss{.factor = 0.5, .patience = 0}, {1.0, 2.0, 3.0, 4.0}, fg::EveryEpoch{.frequency = 2});
  fg::Trainer trainer{model, fg::MaxEpochs{4}};
  trainer.fit(one, one);
  CHECK(trainer.optimizer().lr(0) == 0.5);
}

TEST_CASE("a plateau schedule by step is fed after validation, and not twice with the same value") {
  Validated model(Loss{.factor = 0.5, .patience = 0, .strict = false}, {1.0, 2.0, 3.0}, fg::EveryStep{});
  fg::Trainer trainer{model, fg::MaxEpochs{3}};
  trainer.fit(two, one);
  // Two batches an epoch, one validation: the first batch of an epoch brings nothing new.
  CHECK(model.rates == std::vector<double>{1.0, 1.0, 1.0, 1.0, 0.5, 0.5});
  CHECK(trainer.optimizer().lr(0) == 0.25);
}

namespace {
struct OnTrainLoss : toy::Model {
  std::vector<double> rates;

  auto training_step(double batch, auto& step) {
    rates.push_back(step.optimizers().lr());
    step.log("train_loss", batch, fg::on_step | fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
};
struct ByStep : OnTrainLoss {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"train_loss">{.factor = 0.5, .patience = 0}, fg::EveryStep{});
  }
};
struct ByEpoch : OnTrainLoss {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"train_loss">{.factor = 0.5, .patience = 0});
  }
};
struct Missing : OnTrainLoss {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"nope">{}); }
};
struct MissingButNotStrict : OnTrainLoss {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"nope">{.strict = false}); }
};
struct Overridden : ByEpoch {
  int calls = 0;
  void lr_scheduler_step(auto& scheduler, auto& /*step*/) {
    ++calls;
    scheduler.step();
  }
};
struct ByHand : toy::Model {
  std::vector<double> rates;

  void training_step(double batch, auto& step) {
    rates.push_back(step.optimizers().lr());
    step.log("loss", batch);
    step.lr_schedulers().step();                        // the value logged last
    if (batch == 9.0) step.lr_schedulers().step(99.0);  // or one of its own
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0});
  }
};
}  // namespace

TEST_CASE("by step it sees the batch's value, by epoch the mean") {
  ByStep by_step;
  fg::Trainer(by_step, fg::MaxEpochs{1}).fit(toy::Range{2.0, 3.0, 1.0, 1.0, 1.0});
  CHECK(by_step.rates == std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.25});

  ByEpoch by_epoch;
  fg::Trainer trainer{by_epoch, fg::MaxEpochs{3}};
  trainer.fit(toy::Range{4.0, 1.0});
  CHECK(by_epoch.rates == std::vector<double>{1.0, 1.0, 1.0, 1.0, 0.5, 0.5});
}

TEST_CASE("an epoch that a limit cuts short feeds no epoch schedule") {
  ByEpoch model;
  fg::Trainer trainer{model, fg::MaxSteps{3}};
  trainer.fit(two);
  CHECK(trainer.optimizer().lr(0) == 1.0);
}

TEST_CASE("an epoch in whose last batch a limit is reached feeds it") {
  ByEpoch model;
  fg::Trainer trainer{model, fg::MaxSteps{4}};
  trainer.fit(two);
  CHECK(trainer.optimizer().lr(0) == 0.5);
}

TEST_CASE("a metric that was never logged is an error that names the known ones, unless the schedule is not strict") {
  Missing missing;
  fg::Trainer trainer{missing, fg::MaxEpochs{2}};
  CHECK_THROWS_WITH(trainer.fit(two),
                    "fulgurite: the plateau schedule follows the metric nope, which has not been logged yet. Known "
                    "metrics: train_loss. No validation has logged anything yet: if one is to log nope, it must come first "
                    "(give fit a validation range; fg::ValidateEvery validates within epochs). Else log it with "
                    "step.log(\"nope\", value), or set .strict = false, which waits for it");
  MissingButNotStrict lenient;
  fg::Trainer other{lenient, fg::MaxEpochs{2}};
  other.fit(two);
  CHECK(other.optimizer().lr(0) == 1.0);
}

TEST_CASE("lr_scheduler_step is asked when there is a value, and steps with it") {
  Overridden model;
  fg::Trainer trainer{model, fg::MaxEpochs{3}};
  trainer.fit(one);
  CHECK(model.calls == 3);
  CHECK(trainer.optimizer().lr(0) == 0.25);
}

TEST_CASE("in manual mode the model steps it, with the logged value or its own") {
  ByHand model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{2.0, 9.0, 1.0, 1.0});
  CHECK(model.rates == std::vector<double>{1.0, 1.0, 0.25, 0.25});
}

TEST_CASE("in a loop that the program owns, the end of an epoch feeds it") {
  ByEpoch model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  for (int epoch = 0; epoch < 2; ++epoch) {
    loop.step(1.0);
    loop.step(1.0);
    loop.end_epoch();
  }
  CHECK(trainer.optimizer().lr(0) == 0.5);
}

TEST_CASE("a window that the end of an epoch closes feeds a plateau by step") {
  ByStep model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  for (const double loss : {1.0, 2.0, 3.0}) loop.step(loss);
  CHECK(trainer.optimizer().rate == 1.0);
  loop.end_epoch();
  CHECK(trainer.optimizer().rate == 0.5);  // 2.0, then 3.0
}

namespace {
/// From the second batch on it sets its rates itself.
struct Suspending : OnTrainLoss {
  void on_train_batch_start(double batch, auto& step) {
    if (batch == 2.0) step.suspend_schedules();
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.125}, fg::EveryEpoch{});
  }
};
}  // namespace

TEST_CASE("suspended schedules do not advance") {
  Suspending model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(3));
  CHECK(model.rates == std::vector<double>{1.0, 0.5, 0.5, 0.5, 0.5, 0.5});
  CHECK(trainer.optimizer().rate == 0.5);
}

namespace {
/// Logs its loss under one name in training and validation.
struct OneName : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("loss", 1.0);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("loss", 5.0); }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0}, fg::EveryStep{});
  }
};
}  // namespace

TEST_CASE("a value that validation logs is new, also if training logged the name as often when the schedule was last fed") {
  OneName model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(two, one);  // fed after the first batch, and after the validation
  CHECK(trainer.optimizer().lr(0) == 0.5);
}

namespace {
/// An interval of the program's own, which writes down where it is asked at an epoch's end.
struct Noting {
  using slot = fg::slots::SchedulerInterval;
  std::vector<std::int64_t>* batches;

  bool due_after_step(const fg::SchedulePoint&) const { return false; }
  bool due_after_epoch(const fg::SchedulePoint& point) const {
    batches->push_back(point.batch);
    return true;
  }
};
struct Noted : toy::Model {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}); }
};
}  // namespace

TEST_CASE("an interval is told how many batches an epoch had, whether its last batch or its end was announced") {
  Noted model;
  std::vector<std::int64_t> batches;
  fg::Trainer trainer{model, Noting{&batches}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.step(1.0, fg::last);
  CHECK(batches == std::vector<std::int64_t>{2});
  for (int batch = 0; batch < 3; ++batch) loop.step(1.0);
  loop.end_epoch();
  CHECK(batches == std::vector<std::int64_t>{2, 3});
  CHECK(trainer.optimizer().rate == 0.25);
}
