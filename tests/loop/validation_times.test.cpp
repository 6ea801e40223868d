// SPDX-License-Identifier: MIT
// When validation comes in a fit, and what it leaves alone.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <forward_list>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;
using toy::counting;

namespace {

/// Writes down what happens: t and v are steps, ( and ) the edges of an epoch.
struct Diary : toy::Model {
  std::string events;
  double stop_at = -1.0;
  double end_epoch_at = -1.0;

  auto training_step(double batch, auto& step) {
    events += 't';
    if (batch == stop_at) step.stop();
    step.log("loss", batch, fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto& step) {
    events += 'v';
    step.log("loss", 100.0 * batch);
    step.log("val_loss", batch);
  }
  void on_train_epoch_start(auto&) { events += '('; }
  void on_train_epoch_end(auto&) { events += ')'; }
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == end_epoch_at ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};

template <class... Policies>
std::string events_of(Diary& model, Policies... policies) {
  fg::Trainer trainer{model, policies...};
  trainer.fit(counting(5), counting(1));
  return model.events;
}

template <class... Policies>
std::string events_of(Policies... policies) {
  Diary model;
  return events_of(model, policies...);
}

/// Of unknown size, and walked once.
struct Stream {
  struct Iterator {
    using value_type = double;
    using difference_type = std::ptrdiff_t;
    int at = 0;
    double operator*() const { return at + 1.0; }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    void operator++(int) { ++at; }
    bool operator==(std::default_sentinel_t) const { return at == 5; }
  };
  Iterator begin() { return {}; }
  std::default_sentinel_t end() { return {}; }
};

/// A range that never ends, and says so.
struct Endless {
  struct Iterator : Stream::Iterator {
    bool operator==(std::unreachable_sentinel_t) const { return false; }
  };
  Iterator begin() const { return {}; }
  std::unreachable_sentinel_t end() const { return {}; }
};

/// Draws its order when an epoch begins.
struct Drawn : std::vector<double> {
  using std::vector<double>::vector;
  std::int64_t epoch = -1;
  void set_epoch(std::int64_t begun) { epoch = begun; }
};

}  // namespace

TEST_CASE("validation after every n-th batch, and not at the epoch's end if fewer batches remain") {
  const fg::MaxEpochs two{2};
  CHECK(events_of(fg::MaxEpochs{1}) == "(tttttv)");
  CHECK(events_of(two, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttvttvt)(ttvttvt)");
  CHECK(events_of(two, fg::ValidateEvery{.interval = fg::Batches{5}}) == "(tttttv)(tttttv)");
  CHECK(events_of(two, fg::ValidateEvery{.interval = fg::Fraction{0.3}}) == "(tvtvtvtvtv)(tvtvtvtvtv)");
  CHECK(events_of(two, fg::ValidateEvery{.interval = fg::Fraction{1.0}}) == "(tttttv)(tttttv)");
  CHECK(events_of(two, fg::ValidateEvery{.interval = fg::Batches{2}, .epochs = 2}) == "(ttttt)(ttvttvt)");
  CHECK(events_of(two, fg::ValidateEvery{.epochs = 2}) == "(ttttt)(tttttv)");
  CHECK(events_of(two, fg::ValidateAcrossEpochs{.batches = 4}) == "(ttttvt)(tttvtt)");
  CHECK(events_of(two, fg::ValidateAcrossEpochs{.batches = 7}) == "(ttttt)(ttvttt)");
  CHECK(events_of(two, fg::Fixed<fg::ValidateAcrossEpochs{.batches = 4}>{}) == "(ttttvt)(tttvtt)");
}

TEST_CASE("the interval is measured in what the limits leave of the range") {
  CHECK(events_of(fg::MaxEpochs{1}, fg::LimitBatches{.train = fg::Batches{4}},
                  fg::ValidateEvery{.interval = fg::Fraction{0.5}}) == "(ttvttv)");
}

TEST_CASE("a range of unknown size takes batches, not parts") {
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{2}}};
  trainer.fit(Stream{}, counting(1));
  CHECK(model.events == "(ttvttvt)");
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.set_limit(fg::ValidateEvery{.interval = fg::Fraction{0.5}});
  CHECK_THROWS_AS(trainer.fit(Stream{}, counting(1)), std::invalid_argument);
  trainer.set_limit(fg::ValidateEvery{});
  trainer.fit(Stream{}, counting(1));
  CHECK(model.events == "(ttvttvt)(tttttv)");
}

TEST_CASE("an interval that no epoch reaches is refused before anything is trained") {
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{6}}};
  CHECK_THROWS_AS(trainer.fit(counting(5), counting(1)), std::invalid_argument);
  CHECK(model.events.empty());
  trainer.fit(counting(5));  // nothing is validated here
  CHECK(model.events == "(ttttt)");
  CHECK_THROWS_AS(events_of(fg::ValidateEvery{.epochs = 0}), std::invalid_argument);
}

TEST_CASE("a request to stop is followed by one validation, a limit by none") {
  Diary model;
  model.stop_at = 3.0;
  CHECK(events_of(model) == "(tttv)");
  CHECK(events_of(fg::MaxSteps{3}) == "(ttt)");
  Diary due;
  due.stop_at = 2.0;
  CHECK(events_of(due, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttv)");
  Diary at_the_end;
  at_the_end.stop_at = 5.0;
  CHECK(events_of(at_the_end, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttvttvtv)");
  Diary unwanted;
  unwanted.stop_at = 3.0;
  CHECK(events_of(unwanted, fg::ValidateEvery{.epochs = 2}) == "(ttt)");
}

TEST_CASE("an epoch in whose last batch a limit is reached is whole, and has its validation") {
  CHECK(events_of(fg::MaxSteps{5}) == "(tttttv)");
  CHECK(events_of(fg::MaxSteps{10}) == "(tttttv)(tttttv)");
  CHECK(events_of(fg::MaxSteps{5}, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttvttvt)");
}

TEST_CASE("an epoch that the model ends has its validation at its end, if it has one there") {
  Diary model;
  model.end_epoch_at = 3.0;
  CHECK(events_of(model, fg::MaxEpochs{1}) == "(ttv)");
  Diary other;
  other.end_epoch_at = 3.0;
  CHECK(events_of(other, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttv)");
  Diary none;
  none.end_epoch_at = 3.0;
  CHECK(events_of(none, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{3}}) == "(tt)");
}

TEST_CASE("a validation in the middle of a window leaves its gradients and the epoch's means alone") {
  Diary plain, validated;
  fg::Trainer without{plain, fg::Accumulate<2>{}, fg::MaxEpochs{2}};
  fg::Trainer with{validated, fg::Accumulate<2>{}, fg::MaxEpochs{2},
                   fg::ValidateEvery{.interval = fg::Batches{1}}};
  without.fit(counting(5));
  const auto after_last = counting(1);
  with.fit(counting(5), after_last);
  CHECK(validated.weight.value == plain.weight.value);
  CHECK(with.progress() == without.progress());
  CHECK(with.metric("val_loss") == 1.0);
  CHECK(with.metric("loss") == 100.0);  // logged last by the validation
}

namespace {
/// One name in both stages; the epoch's mean is looked at after the last batch of training.
struct OneName : toy::Model {
  double mean = 0.0;
  auto training_step(double batch, auto& step) {
    step.log("loss", batch, fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { step.log("loss", 100.0); }
  void on_train_epoch_end(auto& step) { mean = *step.metrics().value("loss"); }
};
}  // namespace

TEST_CASE("a name that is logged in both keeps two means") {
  OneName model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}, fg::ValidateEvery{.interval = fg::Batches{2}}};
  trainer.fit(counting(5), counting(1));
  CHECK(model.mean == 3.0);
}

TEST_CASE("with a limit of 0 batches there is no validation") {
  CHECK(events_of(fg::MaxEpochs{1}, fg::LimitBatches{.validation = fg::Batches{0}}) == "(ttttt)");
  CHECK(events_of(fg::MaxEpochs{1}, fg::LimitBatches{.validation = fg::Fraction{0.0}}) == "(ttttt)");
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::LimitBatches{.validation = fg::Batches{0}}};
  trainer.fit(counting(1), toy::Range{});
  CHECK(model.events == "(t)");
}

TEST_CASE("an empty validation range is refused before anything is trained") {
  const char* sentence =
      "fulgurite: the validation range is empty: give a range that holds at least one batch; to validate nothing, give none, "
      "or fg::LimitBatches{.validation = fg::Batches{0}}";
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{2}}, fg::SanityCheck{}};
  CHECK_THROWS_WITH(trainer.fit(counting(5), toy::Range{}), sentence);
  CHECK_THROWS_WITH(trainer.fit(counting(5), std::forward_list<double>{}), sentence);  // of unknown size
  CHECK_THROWS_WITH(trainer.validate(toy::Range{}), sentence);
  CHECK_THROWS_WITH(trainer.validate(std::forward_list<double>{}), sentence);
  auto loop = trainer.loop();
  loop.step(1.0);
  CHECK_THROWS_WITH(loop.validate(toy::Range{}, "test_"), sentence);
  CHECK(model.events == "(t");
  CHECK(trainer.progress().batches == 1);
}

namespace {
/// 1 and 2, for the first that walks it.
struct Once {
  struct Iterator : Stream::Iterator {
    int* left;
    explicit Iterator(int* remaining) : left(remaining) {}
    Iterator& operator++() {
      ++at, --*left;
      return *this;
    }
    void operator++(int) { ++*this; }
    bool operator==(std::default_sentinel_t) const { return *left == 0; }
  };
  int left = 2;
  Iterator begin() { return Iterator(&left); }
  std::default_sentinel_t end() const { return {}; }
};
}  // namespace

TEST_CASE("a validation range that can be walked once is missed at the second validation") {
  const char* sentence =
      "fulgurite: the validation range gave no batch: give a range that holds at least one, and that can be walked at each "
      "validation (a single-pass range is spent after the first)";
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  CHECK_THROWS_WITH(trainer.fit(counting(1), Once{}), sentence);
  CHECK(model.events == "(tvv)(t");
}

TEST_CASE("ranges that never end need a limit") {
  static_assert(fg::data::EndlessBatches<Endless> && !fg::data::EndlessBatches<Stream>);
  Diary model;
  fg::Trainer trainer{model};
  CHECK_THROWS_AS(trainer.fit(Endless{}), std::invalid_argument);
  CHECK_THROWS_AS(trainer.fit(counting(5), Endless{}), std::invalid_argument);
  CHECK(model.events.empty());
  trainer.set_limit(fg::MaxSteps{3});
  trainer.set_limit(fg::LimitBatches{.validation = fg::Batches{2}});
  trainer.set_limit(fg::ValidateEvery{.interval = fg::Batches{2}});
  trainer.fit(Endless{}, Endless{});
  CHECK(model.events == "(ttvvt)");
}

TEST_CASE("a range that draws its order is not validated on while it is trained on") {
  Diary model;
  Drawn range{1.0, 2.0};
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(range, range);  // at the epoch's end it may be
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.set_limit(fg::ValidateEvery{.interval = fg::Batches{1}});
  CHECK_THROWS_WITH(trainer.fit(range, range),
                    "fulgurite: fit was given one range for training and validation, and fg::ValidateEvery comes "
                    "while it is walked: give validation a range of its own");
  CHECK(range.epoch == 0);  // as each validation would see it
  std::vector<double> still{1.0, 2.0};
  trainer.fit(still, still);
  CHECK(model.events == "(ttvv)(tvvtvv)");
}

TEST_CASE("so is a range that can be walked once") {
  Diary model;
  Stream range;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{2}}};
  CHECK_THROWS_WITH(trainer.fit(range, range),
                    "fulgurite: fit was given one range for training and validation, and fg::ValidateEvery comes "
                    "while it is walked: give validation a range of its own");
  CHECK(model.events.empty());
}

namespace {
/// Notes weight and learning rate in each validation.
struct Seen : toy::Model {
  std::vector<double> weights, rates;

  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == 4.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
  void validation_step(double, auto& step) {
    weights.push_back(weight.value);
    rates.push_back(step.optimizer(fg::optimizer_index<0>).lr());
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryEpoch{});
  }
};
/// Says that it has more than it has.
struct Boastful : toy::Range {
  std::size_t size() const { return 9; }
};
}  // namespace

TEST_CASE("the validation at an epoch's end comes after its last window and its schedules, however the epoch ended") {
  for (const bool a_hook_ends_it : {false, true}) {
    Seen model;
    fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
    if (a_hook_ends_it) {
      trainer.fit(counting(9), counting(1));
      CHECK(model.weights == std::vector{-1.5});  // the window that the hook cut is dropped
    } else {
      trainer.fit(Boastful{counting(3)}, counting(1));
      CHECK(model.weights == std::vector{-1.5 - 3.0});
    }
    CHECK(model.rates == std::vector{0.5});
  }
}

TEST_CASE("a loop of the program's own validates between its batches") {
  struct Validated : Diary {
    auto configure_optimizers() {
      return fg::optimizer(toy::Sgd{&weight})
          .lr_scheduler(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5, .patience = 0, .strict = false}, fg::EveryBatch{2});
    }
  };
  Validated model;
  fg::Trainer trainer{model, fg::LimitBatches{.validation = fg::Batches{1}}};
  auto loop = trainer.loop();
  std::vector<double> rates;
  for (const double batch : counting(6)) {
    loop.step(batch);
    rates.push_back(trainer.optimizer().lr(0));
    if (loop.progress().batch % 2 == 0) loop.validate(toy::Range{1.0, 9.0});
  }
  loop.end_epoch();
  CHECK(model.events == "(ttvttvttv)");
  // Best at batch 2; the values of 4 and 6 are no better, and count from the batch after.
  CHECK(rates == std::vector<double>{1.0, 1.0, 1.0, 1.0, 0.5, 0.5});
  CHECK(trainer.optimizer().lr(0) == 0.25);
}

namespace {
struct Sanity : toy::Model {
  std::string events;
  double logged = 0.0;
  auto training_step(double batch, auto& step) {
    events += step.metrics().find("val_loss") ? 'T' : 't';
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) {
    events += 'v';
    step.log("val_loss", 1.0);
  }
  void on_fit_start(auto&) { events += "fit "; }
  void on_train_start(auto&) { events += " train "; }
};
}  // namespace

TEST_CASE("a sanity check comes once, before the training, and leaves nothing behind") {
  Sanity model;
  fg::Trainer trainer{model, fg::SanityCheck{}, fg::MaxEpochs{1}};
  trainer.fit(counting(2), counting(3));
  CHECK(model.events == "fit vv train ttvvv");
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(counting(2), counting(3));
  CHECK(model.events == "fit vv train ttvvvfit  train TTvvv");

  Sanity small;
  fg::Trainer(small, fg::SanityCheck{.batches = 5}, fg::MaxEpochs{1}).fit(counting(1), counting(3));
  CHECK(small.events == "fit vvv train tvvv");
  Sanity limited;
  fg::Trainer(limited, fg::SanityCheck{}, fg::LimitBatches{.validation = fg::Batches{1}}, fg::MaxEpochs{1})
      .fit(counting(1), counting(3));
  CHECK(limited.events == "fit v train tv");
  Sanity none;
  fg::Trainer(none, fg::SanityCheck{}, fg::MaxEpochs{1}).fit(counting(1));
  CHECK(none.events == "fit  train t");
}

namespace {
struct Rows {
  using slot = fg::slots::Callback;
  std::vector<double> values;
  void log_metrics(const fg::MetricsRow& row) {
    for (const fg::MetricValue& value : row.values) values.push_back(value.value);
  }
};
struct Counting : Sanity {
  double value = 0.0;
  void validation_step(double, auto& step) { step.log("val_loss", ++value); }
};
}  // namespace

TEST_CASE("loggers get nothing of a sanity check") {
  Counting model;
  fg::Trainer trainer{model, Rows{}, fg::SanityCheck{.batches = 1}, fg::MaxEpochs{1}};
  trainer.fit(counting(1), counting(1));
  CHECK(trainer.callback<Rows>().values == std::vector<double>{2.0});
}

TEST_CASE("a rehearsal is one short epoch") {
  CHECK(events_of(fg::FastDevRun{.batches = 2}, fg::MaxEpochs{9}, fg::ValidateEvery{.epochs = 3}) == "(ttv)");
  Diary accumulating;
  fg::Trainer trainer{accumulating, fg::Accumulate<2>{}, fg::FastDevRun{.batches = 3}};
  trainer.fit(counting(5), counting(1));
  CHECK(accumulating.events == "(tttv)");
  CHECK(trainer.progress().global_step == 2);
}

namespace {
struct Two : toy::Pair {
  std::string events;

  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) {
    events += 't';
    return toy::Loss{&weight, batch};
  }
  auto training_step(double batch, auto&, fg::OptimizerIndex<1>) { return toy::Loss{&second, batch}; }
  void validation_step(double, auto&) { events += 'v'; }
};
}  // namespace

TEST_CASE("a rehearsal with two optimizers takes as many batches, and validates") {
  Two model;
  fg::Trainer trainer{model, fg::FastDevRun{.batches = 3}};
  trainer.fit(counting(5), counting(1));
  CHECK(model.events == "tttv");
  CHECK(trainer.progress().global_step == 6);
}
