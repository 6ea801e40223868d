// SPDX-License-Identifier: MIT
// A fit that goes on from a checkpoint: what of its epoch still comes, and what has been.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using toy::counting;

namespace {

/// Writes down what happens, and saves in each validation.
struct Diary : toy::Model {
  std::string events;
  toy::Checkpoint file;
  std::int64_t stops_at = -1;

  auto training_step(double batch, auto& step) {
    events += 't';
    if (step.progress().batches + 1 == stops_at) step.stop();
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto&) { events += 'v'; }
  void on_train_epoch_start(auto&) { events += '('; }
  void on_train_epoch_end(auto&) { events += ')'; }
  void on_validation_end(auto& step) { toy::save(step, file); }
};

}  // namespace

TEST_CASE("a fit whose time is over ends the epoch that its checkpoint left open, and repeats neither validation nor sanity check") {
  const fg::ValidateEvery every_second{.interval = fg::Batches{2}};
  const auto events_after = [&](std::int64_t stops_at, bool is_old) {
    Diary model, other;
    model.stops_at = stops_at;
    fg::Trainer trainer{model, every_second};
    trainer.fit(counting(5), counting(1));
    CHECK(model.events == (stops_at == 2 ? "(ttv)" : "(ttvtv)"));
    toy::Checkpoint file = model.file;
    CHECK(file.progress.batch == stops_at);
    file.entries.at("clock.seconds") = 7200.0;
    if (is_old) file.entries.erase("validated_after");

    const support::Notices nothing_to_train;
    fg::Trainer resumed{other, every_second, fg::SanityCheck{}, fg::MaxTime{std::chrono::hours{1}}, fg::MaxEpochs{9}};
    toy::load(resumed, file);
    resumed.fit(counting(5), counting(1));
    CHECK(resumed.progress() == trainer.progress());
    return other.events;
  };
  CHECK(events_after(2, false) == ")");
  CHECK(events_after(2, true) == ")");   // a file of before does not say it, but it was due
  CHECK(events_after(3, false) == ")");  // the request to stop brought it
}

namespace {

struct Saving : Diary {
  std::int64_t saves_at = 0;
  void on_train_batch_end(const auto&, double, auto& step) {
    if (step.progress().batches == saves_at) toy::save(step, file);
  }
};
/// What a `Diary` on 5 batches has saved after batch `after`, which no validation followed.
toy::Checkpoint saved_after(std::int64_t after) {
  Saving model;
  model.saves_at = model.stops_at = after;
  fg::Trainer trainer{model, fg::ValidateEvery{.interval = fg::Batches{3}}, fg::LimitBatches{.validation = fg::Batches{0}}};
  trainer.fit(counting(5), counting(1));
  REQUIRE(model.file.progress.batch == after);
  return model.file;
}

/// What happens in a fit that goes on from a file on 5 batches, with limits that leave nothing to train.
template <class... Policies>
std::string events_from(const toy::Checkpoint& file, Policies... policies) {
  Diary model;
  fg::Trainer trainer{model, policies...};
  toy::load(trainer, file);
  trainer.fit(counting(5), counting(1));
  CHECK(trainer.progress().epoch == 1);
  CHECK(trainer.progress().batches == file.progress.batches);
  return model.events;
}

}  // namespace

TEST_CASE("a fit whose limit is reached ends the epoch that its checkpoint left open, with what is due then") {
  const fg::MaxTime no_time{std::chrono::seconds{0}};
  CHECK(events_from(saved_after(1), fg::MaxSteps{1}) == ")");  // a limit brings no validation,
  CHECK(events_from(saved_after(1), no_time) == "v)");         // time that is up brings one,
  CHECK(events_from(saved_after(5), fg::MaxSteps{5}) == "v)");  // and the end of an epoch that was trained whole, too
  CHECK(events_from(saved_after(5), no_time) == "v)");
}

namespace {
struct Scheduled : Diary {
  void on_train_batch_end(const auto&, double, auto& step) {
    if (step.batch_index() == 0) toy::save(step, file);
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::MomentumSgd{{&weight}}).lr_scheduler(fg::OneCycleLR{.max_lr = 0.1, .total_steps = 100}, fg::EveryStep{});
  }
};
}  // namespace

TEST_CASE("a fit that goes on in an epoch says nothing of schedule lengths, nor one that has nothing to train") {
  Scheduled model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  const auto said_from = [](const toy::Checkpoint& file) {
    Scheduled other;
    fg::Trainer resumed{other, fg::MaxEpochs{1}};
    toy::load(resumed, file);
    const support::Notices notices;
    resumed.fit(counting(5));
    CHECK(resumed.progress().batches == 5);
    return notices.text();
  };
  {
    const support::Notices notices;
    trainer.fit(counting(5));
    CHECK_THAT(notices.text(), ContainsSubstring("has 100 steps, and this fit advances it 5 times"));
  }
  CHECK(said_from(model.file).empty());
  CHECK(said_from(toy::saved(trainer)) ==
        "fulgurite: fit trains nothing, since fg::MaxEpochs{1} has been reached: to train longer, "
        "trainer.set_limit(fg::MaxEpochs{...})\n");
}

namespace {
struct StopsAtOnce : Diary {
  void on_fit_start(auto& run) {
    run.stop();
    toy::save(run, file);
  }
};
}  // namespace

TEST_CASE("a request to stop that waited leaves nothing to train where no minimum keeps it; the next fit trains") {
  StopsAtOnce model;
  fg::Trainer trainer{model, fg::MinEpochs{1}, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  const auto require_stopped = [&](auto... limits) {
    Diary other;
    fg::Trainer resumed{other, limits...};
    toy::load(resumed, model.file);
    const support::Notices notices;
    resumed.fit(counting(2));
    CHECK(notices.text() ==
          "fulgurite: fit trains nothing, since the training that was loaded has been asked to stop: to train longer all the "
          "same, call fit once more\n");
    CHECK(other.events.empty());
    resumed.fit(counting(2));
    CHECK(other.events.starts_with("(t"));
  };
  require_stopped(fg::MaxEpochs{9});
  require_stopped(fg::FastDevRun{});
}

namespace {
/// 1, 2, …, count, of a size that it does not tell.
struct Stream {
  int count;
  struct Iterator {
    int at;
    double operator*() const { return at; }
    void operator++() { ++at; }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  Iterator begin() const { return {1}; }
  Iterator end() const { return {count + 1}; }
};

/// Runs `act` while an exception leaves its scope.
template <class Act>
void while_an_exception_flies(const Act& act) {
  struct Acts {
    const Act& act;
    ~Acts() { act(); }
  };
  CHECK_THROWS_AS(
      [&] {
        const Acts acts{act};
        throw std::runtime_error("flies");
      }(),
      std::runtime_error);
}
}  // namespace

TEST_CASE("a fit whose limits take no batch leaves the epoch that was loaded as it is, also within a destructor") {
  for (const bool flies : {false, true}) {
    Diary model, other;
    model.stops_at = 1;
    fg::Trainer trainer{model, fg::ValidateEvery{.interval = fg::Batches{1}}};
    trainer.fit(Stream{3}, counting(1));
    REQUIRE(model.file.progress.batch == 1);
    fg::Trainer resumed{other, fg::MaxEpochs{1}, fg::LimitBatches{.train = fg::Batches{0}}};
    toy::load(resumed, model.file);
    const auto fit = [&] {
      const support::Notices nothing_to_train;
      resumed.fit(Stream{3});
      CHECK(nothing_to_train.all.size() == 1);
    };
    if (flies) {
      while_an_exception_flies(fit);
    } else {
      fit();
    }
    CHECK(other.events.empty());
    resumed.set_limit(fg::LimitBatches{});
    resumed.fit(Stream{3});
    CHECK(other.events == "tt)");
  }
}

TEST_CASE("what is said of a range of another length names the lengths that are known") {
  Diary sized, unsized;
  sized.stops_at = unsized.stops_at = 1;
  const fg::ValidateEvery each{.interval = fg::Batches{1}};
  fg::Trainer on_range{sized, each}, on_stream{unsized, each};
  on_range.fit(counting(3), counting(1));
  on_stream.fit(Stream{3}, counting(1));
  const auto refuses = [&](const toy::Checkpoint& file, const auto& range, const std::string& lengths) {
    Diary model;
    fg::Trainer resumed{model, fg::MaxEpochs{1}};
    toy::load(resumed, file);
    CHECK_THROWS_WITH(resumed.fit(range), "fulgurite: the checkpoint was saved after batch 1 of " + lengths +
                                              ": give fit the range and the limits with which the checkpoint was saved");
    CHECK(model.events.empty());
  };
  refuses(sized.file, counting(4), "3, and the training range has 4");
  refuses(sized.file, Stream{3}, "3, and the training range has an unknown number");
  refuses(unsized.file, counting(1), "an unknown number, and the training range has 1");
}

TEST_CASE("a request to stop that still waited when a limit ended the fit does not end a longer one") {
  Diary model, other;
  model.stops_at = 1;
  fg::Trainer trainer{model, fg::MinEpochs{5}, fg::MaxEpochs{2}}, resumed{other, fg::MinEpochs{0}, fg::MaxEpochs{4}};
  trainer.fit(counting(1));
  CHECK(trainer.progress().epoch == 2);
  toy::load(resumed, toy::saved(trainer));
  resumed.fit(counting(1));
  CHECK(resumed.progress().epoch == 4);
}

namespace {
/// Takes its time, and saves after its first batch.
struct Slow : toy::Model {
  toy::Checkpoint file;

  auto training_step(double batch, auto&) {
    const auto start = std::chrono::steady_clock::now();
    while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds{2}) {
    }
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_end(const auto&, double, auto& step) {
    if (!file.saved()) toy::save(step, file);
  }
};
}  // namespace

TEST_CASE("the time of a fit is kept in a checkpoint of it, and in one that is saved after it") {
  Slow model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  for (const toy::Checkpoint& file : {model.file, toy::saved(trainer)}) {
    const support::Notices nothing_to_train;
    Slow other;
    fg::Trainer resumed{other, fg::MaxEpochs{9}, fg::MaxTime{std::chrono::milliseconds{1}}};
    toy::load(resumed, file);
    resumed.fit(counting(2));
    CHECK(resumed.progress().batches == file.progress.batches);
  }
}

namespace {
struct Rows {
  using slot = fg::slots::Callback;
  std::shared_ptr<std::vector<std::map<std::string, double>>> rows = std::make_shared<std::vector<std::map<std::string, double>>>();
  void log_metrics(const fg::MetricsRow& row) {
    auto& copy = rows->emplace_back();
    for (const auto& [name, value] : row.values) copy[std::string(name)] = value;
  }
};
/// Logs another metric in each batch.
struct Logging : toy::Model {
  toy::Checkpoint file;

  auto training_step(double batch, auto& step) {
    step.log(batch == 1.0 ? "first" : "second", batch);
    return toy::Loss{&weight, batch};
  }
  void on_train_batch_end(const auto&, double batch, auto& step) {
    if (batch == 1.0) toy::save(step, file);
  }
};
}  // namespace

TEST_CASE("what was logged before a checkpoint is in no row after it") {
  Logging model, other;
  fg::Trainer trainer{model, fg::LogEvery{1}, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  const Rows rows;
  fg::Trainer resumed{other, rows, fg::LogEvery{1}, fg::MaxEpochs{1}};
  toy::load(resumed, model.file);
  resumed.fit(counting(2));
  CHECK(*rows.rows == std::vector<std::map<std::string, double>>{{{"second", 2.0}}});
  CHECK(resumed.metric("first") == 1.0);
}

namespace {
/// Random numbers that are drawn leave no trace.
bool is_held = false;

struct HoldingBackend : fg::PlainBackend {
  using PlainBackend::PlainBackend;
  struct Guard {
    Guard() { is_held = true; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { is_held = false; }
  };
  Guard random_guard() const { return {}; }
};
struct HeldSgd : toy::Sgd {
  template <class Precision>
  using backend = HoldingBackend;
};
struct Held : Logging {
  auto configure_optimizers() { return HeldSgd{{&weight}}; }
};

/// 1, 2, …, count, of a size that it does not tell; draws when it is given an order, "o", and when it goes on to the next batch,
/// "b".
struct Drawing {
  int count = 4;
  std::string traces{};

  void draw(char what) {
    if (!is_held) traces += what;
  }
  void set_epoch(std::int64_t) { draw('o'); }

  struct Iterator {
    Drawing* range;
    int at = 1;
    double operator*() const { return at; }
    void operator++() {
      range->draw('b');
      ++at;
    }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  Iterator begin() { return {this}; }
  Iterator end() { return {this, count + 1}; }
};
}  // namespace

TEST_CASE("what a range draws once more for batches that were trained before a checkpoint leaves no trace") {
  Held model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{2}};
  Drawing whole, rest;
  trainer.fit(whole);
  CHECK(whole.traces == "obbbb");  // of which the checkpoint has "ob": a batch ahead is made already
  toy::load(resumed, model.file);
  resumed.fit(rest);
  CHECK(rest.traces == "bbbobbbb");
}

TEST_CASE("a range that ends before the batches that come next is refused by its size, and the fit may go on with another") {
  Held model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{1}};
  trainer.fit(Drawing{});
  toy::load(resumed, model.file);
  CHECK_THROWS_WITH(resumed.fit(Drawing{.count = 1}),
                    ContainsSubstring("the checkpoint was saved after batch 1 of an unknown number, and the training range has 1"));
  resumed.fit(Drawing{});
  CHECK(other.weight.value == model.weight.value);
}
