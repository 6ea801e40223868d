// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/early_stopping.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <fulgurite/core.hpp>

#include <cstdint>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;
using toy::counting;

namespace {

using OnLoss = fg::EarlyStopping<"val_loss">;

/// How many of the values it takes until it asks to stop; -1 if it never does.
int values_until_stop(OnLoss& stopping, const std::vector<double>& values) {
  int taken = 0;
  for (const double value : values) {
    ++taken;
    if (stopping.judge(value)) return taken;
  }
  return -1;
}

int values_until_stop(OnLoss&& stopping, const std::vector<double>& values) {
  return values_until_stop(stopping, values);
}

/// Validations give the values that the test says, one after the other.
struct Validated : toy::Model {
  std::vector<double> values;
  std::size_t validations = 0;

  void validation_step(double, auto& step) { step.log("val_loss", values.at(validations)); }
  void on_validation_end(auto&) { ++validations; }
};

struct Logging : toy::Model {
  void validation_step(double, auto&) {}
  void on_train_epoch_end(auto& step) { step.log("val_loss", 1.0); }
};
struct Training : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("val_loss", batch, fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
};

Validated with_values(std::vector<double> values) {
  Validated model;
  model.values = std::move(values);
  return model;
}

constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

}  // namespace

TEST_CASE("it stops after as many values in a row as its patience, none of them strictly better") {
  CHECK(values_until_stop({.patience = 2}, {3.0, 2.0, 2.0, 1.0, 1.0, 1.0, 0.0}) == 6);
  CHECK(values_until_stop({}, {3.0, 3.0, 3.0, 3.0, 3.0}) == 4);  // the best, and three
  CHECK(values_until_stop({.patience = 1}, {3.0, 3.0}) == 2);
  CHECK(values_until_stop({.patience = 0}, {3.0, 2.0, 2.0, 1.0}) == 3);
  CHECK(values_until_stop({.mode = fg::MetricMode::max, .patience = 1}, {1.0, 2.0, 2.0}) == 3);
  CHECK(values_until_stop({.patience = 1, .min_delta = 0.5}, {3.0, 2.4, 2.0, 1.0}) == 3);
  CHECK(values_until_stop({.patience = 1, .min_delta = 0.5}, {3.0, 2.5}) == 2);  // by more than the delta
  CHECK(values_until_stop({.mode = fg::MetricMode::max, .patience = 1, .min_delta = 0.5}, {1.0, 1.6, 2.0}) ==
        3);
}

TEST_CASE("it says why, in the order not finite, threshold, diverged, patience") {
  OnLoss stopping{.patience = 1, .stopping_threshold = 0.5, .divergence_threshold = 9.0};
  CHECK(values_until_stop(stopping, {3.0, 0.4}) == 2);
  CHECK(stopping.reason == fg::StopReason::reached);
  stopping = {.patience = 5, .stopping_threshold = 0.5, .divergence_threshold = 9.0};
  CHECK(values_until_stop(stopping, {3.0, 0.5, 9.0, 9.5}) == 4);  // strictly beyond
  CHECK(stopping.reason == fg::StopReason::diverged);
  CHECK(stopping.wait_count == 1);
  CHECK(stopping.best_score == 0.5);
  stopping = {.mode = fg::MetricMode::max, .stopping_threshold = 0.9, .divergence_threshold = 0.1};
  CHECK(values_until_stop(stopping, {0.5, 0.05}) == 2);
  CHECK(stopping.reason == fg::StopReason::diverged);
  CHECK(values_until_stop({.mode = fg::MetricMode::max, .stopping_threshold = 0.9}, {0.9}) == -1);
  stopping = {.stopping_threshold = 0.0};
  CHECK(values_until_stop(stopping, {-infinity}) == 1);
  CHECK(stopping.reason == fg::StopReason::not_finite);
  stopping = {.patience = 2, .check_finite = false};
  CHECK(values_until_stop(stopping, {not_a_number, not_a_number}) == 2);
  CHECK(stopping.reason == fg::StopReason::patience);
  CHECK(stopping.best_score == std::nullopt);
  stopping = {.patience = 1};
  CHECK(values_until_stop(stopping, {3.0, 3.0}) == 2);
  CHECK_FALSE(stopping.judge(2.0));
  CHECK(stopping.reason == fg::StopReason::patience);  // still: where minima kept it waiting, this ended the fit
}

TEST_CASE("a fit ends when the validations of its epochs no longer get better") {
  Validated model = with_values({3.0, 2.0, 2.5, 2.5, 1.0});
  fg::Trainer trainer{model, OnLoss{.patience = 2}};
  trainer.fit(counting(3), counting(1));
  CHECK(trainer.progress().epoch == 4);
  const auto& stopping = trainer.callback<OnLoss>();
  CHECK(stopping.wait_count == 2);
  CHECK(stopping.best_score == 2.0);
  CHECK(stopping.stopped_epoch == 3);
  CHECK(stopping.reason == fg::StopReason::patience);
}

TEST_CASE("where validations come in the middle of epochs, it looks after each, and the fit ends there") {
  Validated model = with_values({3.0, 2.0, 2.5, 2.5, 1.0});
  fg::Trainer trainer{model, OnLoss{.patience = 2}, fg::ValidateEvery{.interval = fg::Batches{2}}};
  trainer.fit(counting(5), counting(1));
  CHECK(model.validations == 4);
  CHECK(trainer.progress().batches == 5 + 4);
  CHECK(trainer.callback<OnLoss>().stopped_epoch == 1);
}

TEST_CASE("epochs without a validation don't count") {
  Validated model = with_values({3.0, 3.0, 3.0});
  fg::Trainer trainer{model, OnLoss{.patience = 2}, fg::ValidateEvery{.epochs = 2}};
  trainer.fit(counting(2), counting(1));
  CHECK(trainer.progress().epoch == 6);

  Validated cut = with_values({3.0, 2.0});
  fg::Trainer other{cut, OnLoss{.patience = 1}, fg::MaxSteps{3}};
  other.fit(counting(2), counting(1));  // the second epoch is cut short before its validation
  CHECK(other.callback<OnLoss>().wait_count == 0);
}

TEST_CASE("what the model logs at the epoch's end is there") {
  Logging model;
  fg::Trainer trainer{model, OnLoss{.patience = 1}};
  trainer.fit(counting(1));
  CHECK(trainer.progress().epoch == 2);
}

TEST_CASE("a training metric is judged at epoch ends where nothing is validated") {
  Training model;
  fg::Trainer trainer{model, OnLoss{.patience = 2}, fg::ValidateEvery{.interval = fg::Batches{1}}};
  trainer.fit(counting(3));
  CHECK(trainer.callback<OnLoss>().best_score == 2.0);
  CHECK(trainer.progress().epoch == 3);
}

TEST_CASE("a metric that was never logged is an error that names the known ones, unless it is not strict") {
  Validated model = with_values({3.0});
  fg::Trainer trainer{model, fg::EarlyStopping<"giraffe">{}};
  CHECK_THROWS_MATCHES(
      trainer.fit(counting(2), counting(1)), std::invalid_argument,
      Catch::Matchers::Message(
          "fulgurite: EarlyStopping follows the metric giraffe, which has not been logged yet. Known metrics: "
          "val_loss. Log it with step.log(\"giraffe\", value), or set .strict = false, which waits for it"));
  Validated other = with_values({3.0, 2.0});
  fg::Trainer lenient{other, fg::EarlyStopping<"giraffe">{.strict = false}, fg::MaxEpochs{2}};
  lenient.fit(counting(2), counting(1));
  CHECK(lenient.progress().epoch == 2);
}

TEST_CASE("a metric of a validation that is still to come is not called one that nobody logs") {
  Validated model = with_values({3.0, 2.0});
  fg::Trainer trainer{model, OnLoss{}, fg::MaxEpochs{2}};
  CHECK_THROWS_MATCHES(
      trainer.fit(counting(2)), std::invalid_argument,
      Catch::Matchers::Message(
          "fulgurite: EarlyStopping follows the metric val_loss, which has not been logged yet. Known metrics: none. No "
          "validation has logged anything yet: if one is to log val_loss, it must come first (give fit a validation range; "
          "fg::ValidateEvery validates within epochs). Else log it with step.log(\"val_loss\", value), or set .strict = "
          "false, which waits for it"));
  trainer.fit(counting(2), counting(1));
  CHECK(trainer.callback<OnLoss>().best_score == 2.0);
}

TEST_CASE("neither a sanity check nor a rehearsal is judged") {
  Validated model = with_values({0.0, 3.0, 2.0});
  fg::Trainer trainer{model, OnLoss{.patience = 1}, fg::SanityCheck{},
                      fg::ValidateEvery{.interval = fg::Batches{1}}, fg::MaxSteps{2}};
  trainer.fit(counting(2), counting(1));
  CHECK(trainer.callback<OnLoss>().best_score == 2.0);

  toy::Model plain;
  fg::Trainer rehearsal{plain, OnLoss{}, fg::FastDevRun{}};
  rehearsal.fit(counting(2));
  CHECK(rehearsal.progress().batches == 1);
}

namespace {
/// Training logs `loss` for batches and epochs, validation logs it too.
struct OneName : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("loss", 10.0 * batch, fg::on_step | fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("loss", 1.0); }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss_epoch">{.factor = 0.5, .patience = 0});
  }
};
}  // namespace

TEST_CASE("a metric of two stages is followed by each of its names") {
  const auto best = [](auto stopping) {
    OneName model;
    fg::Trainer trainer{model, stopping, fg::MaxEpochs{3}};
    trainer.fit(counting(2), counting(1));
    CHECK(trainer.optimizer().rate == 0.25);  // the schedule's metric does not fall either
    return trainer.template callback<decltype(stopping)>().best_score;
  };
  CHECK(best(fg::EarlyStopping<"loss_epoch">{}) == 15.0);
  CHECK(best(fg::EarlyStopping<"loss_step">{}) == 20.0);
  CHECK(best(fg::EarlyStopping<"loss">{}) == 1.0);
}

namespace {
struct LogsAtItsEnd {
  using slot = fg::slots::Callback;
  double value = 3.0;
  void on_validation_end(auto& step) { step.log("late", value); }
};
}  // namespace

TEST_CASE("what a callback logs at a validation's end is followed, whichever comes first") {
  Validated model = with_values({1.0});
  using OnLate = fg::EarlyStopping<"late">;
  fg::Trainer trainer{model, OnLate{}, LogsAtItsEnd{}, fg::ValidateEvery{.interval = fg::Batches{1}}, fg::MaxSteps{1}};
  trainer.fit(counting(2), counting(1));
  CHECK(trainer.callback<OnLate>().best_score == 3.0);
}

TEST_CASE("in a loop of the program's own it asks to stop at the epoch's end") {
  Validated model = with_values({1.0, 1.0});
  fg::Trainer trainer{model, OnLoss{.patience = 1}};
  auto loop = trainer.loop();
  int epochs = 0;
  while (!loop.stop_requested()) {
    loop.step(1.0);
    loop.validate(counting(1));
    loop.end_epoch();
    ++epochs;
  }
  CHECK(epochs == 2);
}

TEST_CASE("after a fit in which it looked at validations, it looks at epoch ends again in a loop of the program's own") {
  Logging model;
  const support::Notices quiet;
  fg::Trainer trainer{model, OnLoss{.patience = 1, .strict = false}, fg::ValidateEvery{.interval = fg::Batches{1}},
                      fg::MaxEpochs{1}};
  trainer.fit(counting(1), counting(1));  // its only value comes after the validation
  auto loop = trainer.loop();
  loop.step(1.0, fg::last);
  CHECK_FALSE(loop.stop_requested());
  loop.step(1.0, fg::last);
  CHECK(loop.stop_requested());
}

namespace {
/// Validations log 0, epoch ends 1; one batch fails, once.
struct FailingOnce : toy::Model {
  std::int64_t fails_at = 1;
  std::int64_t batches = 0;

  auto training_step(double batch, auto&) {
    if (++batches == fails_at) throw std::runtime_error("once");
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("val_loss", 0.0); }
  void on_train_epoch_end(auto& step) { step.log("epoch_loss", 1.0); }
};
}  // namespace

TEST_CASE("after a fit that threw it decides anew where it looks: in a fit, a validation, a loop of the program's own") {
  const support::Notices quiet;
  const auto thrown = [](auto& trainer) {
    CHECK_THROWS_AS(trainer.fit(counting(2), counting(1)), std::runtime_error);
    CHECK_FALSE(trainer.template callback<OnLoss>().best_score);
  };
  const fg::ValidateEvery within{.interval = fg::Batches{2}};

  FailingOnce sane;  // the next fit begins with a sanity check
  fg::Trainer next{sane, OnLoss{}, within, fg::SanityCheck{}, fg::MaxSteps{1}};
  thrown(next);
  next.fit(counting(2), counting(1));
  CHECK_FALSE(next.callback<OnLoss>().best_score);

  FailingOnce alone;
  fg::Trainer validating{alone, OnLoss{}, within};
  thrown(validating);
  validating.validate(counting(1));
  CHECK_FALSE(validating.callback<OnLoss>().best_score);

  FailingOnce by_hand;
  using OnEpoch = fg::EarlyStopping<"epoch_loss">;
  fg::Trainer looping{by_hand, OnEpoch{}, OnLoss{.strict = false}, within};
  thrown(looping);
  looping.loop().step(1.0, fg::last);
  CHECK(looping.callback<OnEpoch>().best_score == 1.0);

  FailingOnce rehearsed;
  fg::Trainer rehearsal{rehearsed, OnEpoch{}, OnLoss{.strict = false}, fg::FastDevRun{}};
  thrown(rehearsal);
  rehearsal.loop().step(1.0, fg::last);
  CHECK(rehearsal.callback<OnEpoch>().best_score == 1.0);
}

namespace {
/// Logs the same value in every second epoch, and saves after its fifth batch.
struct Seldom : toy::Model {
  toy::Checkpoint file;

  void on_train_epoch_end(auto& step) {
    if (step.epoch() % 2 == 1) step.log("val_loss", 3.0);
  }
  void on_train_batch_end(const auto&, double, auto& step) {
    if (step.progress().batches == 5) toy::save(step, file);
  }
};
}  // namespace

TEST_CASE("a value that was judged before a checkpoint is not judged again after it") {
  Seldom model, other;
  const auto train = [](Seldom& of, auto&& from) {
    fg::Trainer trainer{of, OnLoss{.patience = 2, .strict = false}};
    from(trainer);
    trainer.fit(counting(2));
    CHECK(trainer.progress().epoch == 6);  // two values after the first
  };
  train(model, [](auto&) {});
  train(other, [&](auto& trainer) { toy::load(trainer, model.file); });
}

TEST_CASE("a checkpoint holds what it has seen, and its options decide whether that is reason to stop") {
  Validated model = with_values({3.0, 4.0, 5.0});
  fg::Trainer trainer{model, OnLoss{.patience = 2}};
  trainer.fit(counting(1), counting(1));
  const toy::Checkpoint file = toy::saved(trainer);

  const support::Notices quiet;  // a fit of a training that was asked to stop says so
  for (const std::int64_t patience : {2, 3}) {
    Validated more = with_values({6.0});
    fg::Trainer resumed{more, OnLoss{.patience = patience}};
    toy::load(resumed, file);
    const auto& seen = resumed.callback<OnLoss>();
    CHECK(seen.wait_count == 2);
    CHECK(seen.best_score == 3.0);
    CHECK(seen.last_score == 5.0);
    CHECK(seen.stopped_epoch == 2);
    CHECK(seen.reason == fg::StopReason::patience);
    CHECK(seen.seen_call == trainer.callback<OnLoss>().seen_call);
    resumed.fit(counting(1), counting(1));
    CHECK(resumed.progress().epoch == (patience == 2 ? 3 : 4));
  }

  toy::Checkpoint old = file;  // of a version that did not save these
  old.entries.erase("callback_0.last_score");
  old.entries.erase("callback_0.seen_call");
  Validated other;
  fg::Trainer replaced{other, OnLoss{.patience = 3, .last_score = not_a_number, .seen_call = 7}};
  toy::load(replaced, old);
  CHECK(replaced.callback<OnLoss>().wait_count == 2);
  CHECK(replaced.callback<OnLoss>().last_score == std::nullopt);
  CHECK(replaced.callback<OnLoss>().seen_call == 0);
  CHECK_FALSE(replaced.loop().stop_requested());
}

TEST_CASE("minima keep its request waiting") {
  Validated model = with_values({1.0, 1.0, 0.5, 0.2});
  fg::Trainer trainer{model, OnLoss{.patience = 1}, fg::MinEpochs{3}};
  trainer.fit(counting(1), counting(1));
  CHECK(trainer.progress().epoch == 3);  // although the third validation was better
}

TEST_CASE("invalid values are refused, and it is printed as it is written") {
  toy::Model model;
  const auto refuses = [&](const OnLoss& stopping, const char* sentence) {
    CHECK_THROWS_MATCHES((fg::Trainer{model, stopping}), std::invalid_argument, Catch::Matchers::Message(sentence));
  };
  refuses({.patience = -1}, "fulgurite: EarlyStopping.patience must be 0 or more");
  refuses({.min_delta = -0.1}, "fulgurite: EarlyStopping.min_delta must be 0 or more");
  fg::Trainer{model, OnLoss{.patience = 0, .min_delta = 0.0}};
  std::ostringstream out;
  out << OnLoss{.patience = 5} << ' ' << fg::StopReason::diverged;
  CHECK(out.str() ==
        "EarlyStopping<\"val_loss\">{.mode = min, .patience = 5, .min_delta = 0, .wait_count = 0} diverged");
}

namespace {
struct BothLog : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("loss", batch, fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("loss", 7.0); }
};
}  // namespace

TEST_CASE("it takes a value of a validation, also if training logged the name as often when it last took one") {
  BothLog model;
  using Stopping = fg::EarlyStopping<"loss">;
  fg::Trainer trainer{model, Stopping{}};
  auto loop = trainer.loop();
  loop.step(1.0, fg::last);
  CHECK(trainer.callback<Stopping>().last_score == 1.0);
  loop.step(2.0);
  loop.validate(counting(1));
  loop.end_epoch();
  CHECK(trainer.callback<Stopping>().last_score == 7.0);
}
