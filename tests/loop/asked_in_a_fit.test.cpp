// SPDX-License-Identifier: MIT
// When that is done which hooks of a fit ask for outside of its batches, and what a call that failed leaves undone.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <functional>
#include <stdexcept>
#include <string>

#include "support/notices.hpp"
#include "support/toy.hpp"
#include "support/toy_checkpoint.hpp"

namespace fg = fulgurite;
using toy::counting;

namespace {

struct InValidation : toy::Model {
  toy::Checkpoint file;

  void validation_step(double, auto&) {}
  void on_validation_end(auto& step) {
    if (!file.saved()) toy::save(step, file);
  }
};

struct AtEpochsEnd : toy::Model {
  toy::Checkpoint file;
  bool was_saved = false;

  void on_train_epoch_start(auto&) { was_saved = file.saved(); }
  void on_train_epoch_end(auto& step) { toy::save(step, file); }
};

/// Validates by itself after its second batch, and saves in that validation.
struct WithinHook : InValidation {
  std::function<void()> validate;

  void on_train_batch_end(const auto&, double batch, auto&) {
    if (batch == 2.0) validate();
  }
};

/// Each hook asks, and notes what is saved when it comes.
struct AroundFit : toy::Model {
  toy::Checkpoint fit_start, sanity, train_start, train_end, fit_end;
  std::string saved;

  void note(const char* hook) {
    saved += hook;
    for (const auto* file : {&fit_start, &sanity, &train_start, &train_end, &fit_end}) saved += file->saved() ? '1' : '0';
    saved += ' ';
  }
  void validation_step(double, auto&) {}

  void on_fit_start(auto& run) { toy::save(run, fit_start); }
  void on_validation_end(auto& step) { toy::save(step, sanity); }
  void on_train_start(auto& run) {
    note("start ");
    toy::save(run, train_start);
  }
  void on_train_epoch_start(auto&) { note("epoch "); }
  void on_train_end(auto& run) { toy::save(run, train_end); }
  void on_fit_end(auto& run) {
    note("end ");
    toy::save(run, fit_end);
  }
  void teardown() { note("teardown "); }
};

/// Asks in its second call, and fails there.
struct Failing : toy::Model {
  enum class In { training, validation, epoch_end } in = In::training;
  toy::Checkpoint file;

  void fail(In where, auto& step) {
    if (where != in) return;
    toy::save(step, file);
    throw std::runtime_error("no");
  }
  auto training_step(double batch, auto& step) {
    if (batch == 2.0) fail(In::training, step);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { fail(In::validation, step); }
  void on_train_epoch_end(auto& step) { fail(In::epoch_end, step); }
};

}  // namespace

TEST_CASE("what is asked for in a validation is saved after it, before the next batch") {
  InValidation model;
  fg::Trainer trainer{model, fg::ValidateEvery{.interval = fg::Batches{2}}, fg::MaxEpochs{1}};
  trainer.fit(counting(4), counting(1));
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 2);
  CHECK(model.file.weights.at(0).value == -3.0);
}

TEST_CASE("what is asked for in a validation that a hook of a fit makes is saved after the batch, before the next one") {
  WithinHook model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.validate = [&] { trainer.validate(counting(1)); };
  trainer.fit(counting(4));
  REQUIRE(model.file.saved());
  CHECK(model.file.progress.batches == 2);
  CHECK(model.file.weights.at(0).value == -3.0);
}

TEST_CASE("what is asked for at an epoch's end is saved before the next epoch begins") {
  AtEpochsEnd model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(counting(2));
  CHECK(model.was_saved);
  CHECK(model.file.progress.epoch == 2);
}

TEST_CASE("what a hook around a fit or its sanity check asks for is saved before the next of these hooks") {
  AroundFit model;
  fg::Trainer trainer{model, fg::SanityCheck{}, fg::MaxEpochs{1}};
  trainer.fit(counting(1), counting(1));
  CHECK(model.saved == "start 11000 epoch 11100 end 11110 teardown 11111 ");
  CHECK(model.fit_start.progress.batches == 0);
}

TEST_CASE("what a call of the program's own loop that failed was asked for is not done by a later one") {
  using In = Failing::In;
  for (const In in : {In::training, In::validation, In::epoch_end}) {
    Failing model;
    model.in = in;
    fg::Trainer trainer{model};
    auto loop = trainer.loop();
    loop.step(1.0);
    if (in == In::training) CHECK_THROWS_AS(loop.step(2.0), std::runtime_error);
    if (in == In::validation) CHECK_THROWS_AS(loop.validate(counting(1)), std::runtime_error);
    if (in == In::epoch_end) CHECK_THROWS_AS(loop.end_epoch(), std::runtime_error);
    model.in = In{-1};
    loop.step(3.0);
    loop.end_epoch();
    CHECK_FALSE(model.file.saved());
  }
}

namespace {

/// Saves in the batch `at`, and may ask to stop or end the epoch there.
struct SavesAt : toy::Model {
  enum class Also { nothing, stops, ends_epoch };
  double at;
  Also also;
  toy::Checkpoint file;

  explicit SavesAt(double batch, Also more = Also::nothing) : at(batch), also(more) {}

  void validation_step(double, auto&) {}
  fg::EpochControl on_train_batch_start(double batch, auto& step) {
    if (batch != at) return fg::EpochControl::go_on;
    toy::save(step, file);
    if (also == Also::stops) step.stop();
    return also == Also::ends_epoch ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};

/// 1, 2, …, count, of a size that is not known before.
struct Stream {
  struct Iterator {
    double at;
    double operator*() const { return at; }
    Iterator& operator++() {
      ++at;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  double count;

  Iterator begin() const { return {1.0}; }
  Iterator end() const { return {count + 1.0}; }
};

using Also = SavesAt::Also;

/// What a fit on 3 batches saves.
template <class... Policies>
fg::Progress saved_by(SavesAt model, Policies... policies) {
  fg::Trainer trainer{model, policies...};
  trainer.fit(counting(3), counting(1));
  REQUIRE(model.file.saved());
  return model.file.progress;
}

}  // namespace

TEST_CASE("what an epoch's last batch asks for is saved when all that belongs to the epoch is over") {
  const auto at_its_end = [](const fg::Progress& progress) { return progress.epoch == 1 && progress.batch == 0; };
  CHECK(at_its_end(saved_by(SavesAt(3.0), fg::MaxEpochs{1})));
  CHECK(at_its_end(saved_by(SavesAt(2.0, Also::ends_epoch), fg::MaxEpochs{1})));
  // So it is with a request to stop that brings no other validation than the epoch's end, or none.
  CHECK(at_its_end(saved_by(SavesAt(3.0, Also::stops))));
  CHECK(at_its_end(saved_by(SavesAt(3.0, Also::stops), fg::ValidateEvery{.epochs = 2})));
  CHECK(at_its_end(saved_by(SavesAt(3.0, Also::stops), fg::ValidateEvery{.interval = fg::Batches{3}})));
}

TEST_CASE("it is saved before a validation that only a request to stop brings; a fit goes on from there") {
  const fg::ValidateEvery every_second{.interval = fg::Batches{2}};
  for (const double at : {1.0, 3.0}) {
    SavesAt model(at, Also::stops), stream(at, Also::stops), other(-1.0), other_stream(-1.0);
    fg::Trainer trainer{model, every_second}, on_stream{stream, every_second};
    trainer.fit(counting(3), counting(1));
    on_stream.fit(Stream{3.0}, counting(1));
    for (const SavesAt* saved : {&model, &stream}) {
      CHECK(saved->file.progress.epoch == 0);
      CHECK(saved->file.progress.batch == static_cast<std::int64_t>(at));
    }
    const fg::MaxEpochs one{1};
    fg::Trainer resumed{other, every_second, one}, resumed_on_stream{other_stream, every_second, one};
    toy::load(resumed, model.file);
    toy::load(resumed_on_stream, stream.file);
    resumed.fit(counting(3), counting(1));
    resumed_on_stream.fit(Stream{3.0}, counting(1));
    for (const fg::Progress& progress : {resumed.progress(), resumed_on_stream.progress()}) {
      CHECK(progress.epoch == 1);
      CHECK(progress.batches == 3);
    }
    CHECK(other.weight.value == -6.0);
    CHECK(other_stream.weight.value == -6.0);
  }
}
