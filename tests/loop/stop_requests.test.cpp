// SPDX-License-Identifier: MIT
// How requests to stop and minima decide about the end of a fit.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "support/toy.hpp"

namespace fg = fulgurite;
using toy::counting;

namespace {

enum class In { epoch_start, batch, validation, epoch_end };

struct Request {
  In in = In::batch;
  std::int64_t epoch = 0;
  std::int64_t batch = 0;
};

/// Asks to stop in one hook, and writes down what happens.
struct Stopping : toy::Model {
  explicit Stopping(Request given) : request(given) {}

  Request request;
  std::string events{};

  void ask(In where, auto& step) {
    if (where == request.in && step.epoch() == request.epoch) step.stop();
  }
  auto training_step(double value, auto& step) {
    events += 't';
    if (step.batch_index() == request.batch) ask(In::batch, step);
    return toy::Loss{&weight, value};
  }
  void validation_step(double, auto&) { events += 'v'; }
  void on_train_epoch_start(auto& step) {
    events += '(';
    ask(In::epoch_start, step);
  }
  void on_validation_end(auto& step) { ask(In::validation, step); }
  void on_train_epoch_end(auto& step) {
    events += ')';
    ask(In::epoch_end, step);
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};

template <class... Policies>
std::string events_of(Request request, Policies... policies) {
  Stopping model(request);
  fg::Trainer trainer{model, policies...};
  trainer.fit(counting(3), counting(1));
  return model.events;
}

}  // namespace

TEST_CASE("wherever a request comes from, the running batch is the last one") {
  CHECK(events_of({.in = In::batch, .batch = 1}) == "(ttv)");
  CHECK(events_of({.in = In::epoch_end}) == "(tttv)");
  CHECK(events_of({.in = In::validation}) == "(tttv)");
  CHECK(events_of({.in = In::validation}, fg::ValidateEvery{.interval = fg::Batches{2}}) == "(ttv)");
  CHECK(events_of({.in = In::epoch_start, .epoch = 1}, fg::ValidateEvery{.epochs = 3}) == "(ttt)()");
  CHECK(events_of({.in = In::epoch_start, .epoch = 1}) == "(tttv)(v)");
}

TEST_CASE("a request before the minimum of epochs is kept until they have ended") {
  CHECK(events_of({.batch = 1}, fg::MinEpochs{2}) == "(tttv)(tttv)");
  CHECK(events_of({.in = In::epoch_end}, fg::MinEpochs{2}) == "(tttv)(tttv)");
  CHECK(events_of({.batch = 1}, fg::MinEpochs{2}, fg::ValidateEvery{.interval = fg::Batches{2}}) ==
        "(ttvt)(ttvt)");
}

TEST_CASE(
    "a request before the minimum of steps ends the fit in the batch that reaches it, with a validation") {
  CHECK(events_of({.batch = 0}, fg::MinSteps{5}) == "(tttv)(ttv)");
  CHECK(events_of({.batch = 0}, fg::MinSteps{3}) == "(tttv)");
  CHECK(events_of({.batch = 0}, fg::MinSteps{4}, fg::MinEpochs{2}) == "(tttv)(tttv)");
}

TEST_CASE("a maximum wins over a minimum") {
  CHECK(events_of({.epoch = 9}, fg::MinEpochs{5}, fg::MaxEpochs{1}) == "(tttv)");
  CHECK(events_of({.epoch = 9}, fg::MinSteps{5}, fg::MaxSteps{2}) == "(tt)");
}

TEST_CASE("an epoch that a request cuts short steps no epoch schedule, unless the cut is its last batch") {
  Stopping cut({.batch = 1});
  fg::Trainer first{cut};
  first.fit(counting(3));
  CHECK(first.optimizer().rate == 1.0);
  CHECK(first.progress().epoch == 1);
  Stopping whole({.batch = 2});
  fg::Trainer second{whole};
  second.fit(counting(3));
  CHECK(second.optimizer().rate == 0.5);
}

TEST_CASE("time that is up asks to stop, and the minima come first") {
  const fg::MaxTime none{std::chrono::seconds{0}};
  CHECK(events_of({.epoch = 9}, none) == "");
  CHECK(events_of({.epoch = 9}, none, fg::MinSteps{2}) == "(ttv)");
  CHECK(events_of({.epoch = 9}, none, fg::MinEpochs{1}) == "(tttv)");
}

TEST_CASE("a request of one fit does not reach the next") {
  Stopping model({});
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(counting(3));
  CHECK(trainer.progress().batches == 1);
  trainer.fit(counting(3));
  CHECK(trainer.progress().batches == 4);
}

namespace {
struct LowersLimit : toy::Model {
  std::function<void()> lower;
  void on_train_epoch_start(auto&) { lower(); }
};
}  // namespace

TEST_CASE("an epoch that has begun is trained, though a hook of its start lowers the limit of epochs to those that have ended") {
  LowersLimit model;
  fg::Trainer trainer{model, fg::MaxEpochs{3}};
  model.lower = [&] { trainer.set_limit(fg::MaxEpochs{0}); };
  trainer.fit(counting(3));
  CHECK(trainer.progress().batches == 3);
  CHECK(trainer.progress().epoch == 1);
}
