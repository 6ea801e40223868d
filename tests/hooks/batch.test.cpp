// SPDX-License-Identifier: MIT
#include <fulgurite/hooks/batch.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

std::string events;

struct First {
  using slot = fg::slots::Callback;
  void on_train_batch_start(double, auto&) { events += "1("; }
  void on_train_batch_end(const auto&, double, auto&) { events += "1)"; }
};
struct Second {
  using slot = fg::slots::Callback;
  void on_train_batch_start(double, auto&) { events += "2("; }
  void on_train_batch_end(const auto&, double, auto&) { events += "2)"; }
};
struct Recording : toy::Model {
  void on_train_batch_start(double, auto&) { events += "m("; }
  void on_train_batch_end(const auto&, double, auto&) { events += "m)"; }
};

/// Where a batch stands.
using Place = std::vector<std::int64_t>;

/// As its step and its outcome say at its end.
struct Placed : toy::Model {
  std::vector<Place> steps, outcomes;

  void on_train_batch_end(const auto& outcome, double, auto& step) {
    steps.push_back({step.epoch(), step.batch_index(), step.progress().batch, step.progress().batches, step.global_step()});
    outcomes.push_back({outcome.epoch, outcome.batch, outcome.global_step});
  }
};

/// Both end each epoch at its third batch; the model and the callbacks count how often they are called.
template <int>
struct EndsAtThird {
  using slot = fg::slots::Callback;
  int calls = 0;
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    ++calls;
    return batch == 3.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};
struct Counting : toy::Model {
  int calls = 0;
  void on_train_batch_start(double, auto&) { ++calls; }
};
struct Ending : toy::Model {
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == 3.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};

}  // namespace

TEST_CASE("hooks of callbacks come in order, then the model's") {
  events.clear();
  Recording model;
  fg::Trainer trainer{model, First{}, Second{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(1));
  CHECK(events == "1(2(m(1)2)m)");
}

TEST_CASE("at a batch's end its index is still its own, and it has been counted") {
  Placed model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(2));
  CHECK(model.steps == std::vector<Place>{{0, 0, 0, 1, 1}, {0, 1, 1, 2, 2}, {1, 0, 0, 3, 3}, {1, 1, 1, 4, 4}});
  CHECK(model.outcomes == std::vector<Place>{{0, 0, 1}, {0, 1, 2}, {1, 0, 3}, {1, 1, 4}});
}

TEST_CASE("the outcome of a batch says which batch it was, also if a hook left it out") {
  Ending model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  loop.step(1.0, fg::last);
  loop.step(1.0);
  const auto trained = loop.step(2.0);
  CHECK(!trained.ends_epoch);
  CHECK(Place{trained.epoch, trained.batch, trained.global_step} == Place{1, 1, 3});
  const auto left_out = loop.step(3.0);
  CHECK(left_out.ends_epoch);
  CHECK(Place{left_out.epoch, left_out.batch, left_out.global_step} == Place{1, 2, 3});
}

TEST_CASE("all are called at a batch's start, though one of them ends the epoch") {
  Counting model;
  fg::Trainer trainer{model, EndsAtThird<0>{}, EndsAtThird<1>{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(5));
  CHECK(trainer.callback<EndsAtThird<0>>().calls == 3);
  CHECK(trainer.callback<EndsAtThird<1>>().calls == 3);
  CHECK(model.calls == 3);
}

TEST_CASE("an epoch that a hook ends drops the window that it had begun") {
  Ending model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{2}};
  trainer.fit(toy::counting(5));
  CHECK(model.weight.value == 0.0);
  CHECK(trainer.progress().epoch == 2);
  CHECK(trainer.progress().global_step == 0);
}
