// SPDX-License-Identifier: MIT
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_exception.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <ranges>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::Message;
using toy::counting;

namespace {
struct Decaying : toy::Model {
  int validated = 0;
  void validation_step(double, auto&) { ++validated; }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};

struct Ending : toy::Model {
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == 3.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};

struct EndingScheduled : Ending {
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{})
        .lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.125}, fg::EveryEpoch{});
  }
};
}  // namespace

TEST_CASE("a short window follows its own mean") {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{1}};
  trainer.fit(counting(10));
  CHECK(model.weight.value == -(2.5 + 6.5 + 9.5));
  CHECK(trainer.progress().global_step == 3);
}

TEST_CASE("a short window is divided by the full size on request") {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<4>{fg::PartialWindow::full_divisor}, fg::MaxEpochs{1}};
  trainer.fit(counting(10));
  CHECK(model.weight.value == -(2.5 + 6.5 + 19.0 / 4.0));
}

TEST_CASE("a second fit does nothing until its limit is raised") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(counting(3));
  trainer.fit(counting(3));
  CHECK(trainer.progress().global_step == 6);
  trainer.set_limit(fg::MaxEpochs{3});
  trainer.fit(counting(3));
  CHECK(trainer.progress().global_step == 9);
}

TEST_CASE("invalid values are refused") {
  toy::Model model;
  CHECK_THROWS_AS((fg::Trainer{model, fg::MaxEpochs{-1}}), std::invalid_argument);
  CHECK_THROWS_AS((fg::Trainer{model, fg::ClipNorm{.max = 0.0}}), std::invalid_argument);
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.set_limit(fg::MaxEpochs{-1}), std::invalid_argument);
  trainer.fit(counting(1));  // the limit is what it was
  CHECK(trainer.progress().epoch == 1);
}

namespace {
/// Can be walked once.
struct Once {
  int left = 3;
  struct Iterator {
    int* left;
    double operator*() const { return 1.0; }
    void operator++() { --*left; }
    bool operator!=(std::default_sentinel_t) const { return *left > 0; }
  };
  Iterator begin() { return {&left}; }
  std::default_sentinel_t end() const { return {}; }
};
}  // namespace

TEST_CASE("an empty training range is refused, and one that is spent") {
  toy::Model model;
  fg::Trainer trainer{model};
  const auto is_empty = Message(
      "fulgurite: the training range gave no batch in epoch 0: give fit a range that holds at least one, and that "
      "can be walked once an epoch (a single-pass range is spent after the first: use fg::MaxEpochs{1})");
  CHECK_THROWS_MATCHES(trainer.fit(toy::Range{}), std::invalid_argument, is_empty);
  CHECK_THROWS_WITH(trainer.fit(Once{}), ContainsSubstring("gave no batch in epoch 1: give fit"));
  toy::Model other;
  fg::Trainer once{other, fg::MaxEpochs{1}};  // what the message advises
  once.fit(Once{});
  CHECK(once.progress().batches == 3);
}

TEST_CASE("a step limit in the middle of an epoch steps no epoch schedule and validates nothing") {
  Decaying model;
  fg::Trainer trainer{model, fg::MaxSteps{2}};
  trainer.fit(counting(4), counting(2));
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.optimizer().rate == 1.0);
  CHECK(model.validated == 0);
}

TEST_CASE("a time limit of nothing trains nothing") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxTime{std::chrono::seconds{0}}};
  trainer.fit(counting(4));
  CHECK(trainer.progress().global_step == 0);
}

TEST_CASE("no more batches are taken than the limit says") {
  Decaying model;
  fg::Trainer trainer{model, fg::LimitBatches{.train = fg::Batches{2}, .validation = fg::Fraction{0.5}},
                      fg::MaxEpochs{1}};
  trainer.fit(counting(4), counting(4));
  CHECK(model.weight.value == -3.0);
  CHECK(model.validated == 2);
  CHECK(trainer.optimizer().rate == 0.5);
}

TEST_CASE("the model may end an epoch") {
  Ending model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(counting(5));
  CHECK(model.weight.value == -3.0);
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("an epoch that a hook ends advances epoch schedules, and step schedules only for steps") {
  EndingScheduled model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(counting(5));
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.optimizer().rate == 0.5 * 0.5 * 0.125);
}

TEST_CASE("an embedded loop closes its windows") {
  Decaying model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  auto loop = trainer.loop();
  for (const double batch : {1.0, 2.0, 3.0}) CHECK_FALSE(loop.step(batch).stepped);
  loop.end_epoch();
  CHECK(model.weight.value == -2.0);
  CHECK(trainer.optimizer().rate == 0.5);
  CHECK(loop.progress().windows == 1);
  CHECK(loop.step(4.0, fg::last).stepped);
  CHECK(model.weight.value == -4.0);
  CHECK(loop.progress().epoch == 2);
}

namespace {

/// Fails once, at the batch that the test says.
struct Failing : toy::Model {
  double fails_at = 2.0;
  bool failed = false;
  bool in_validation = false;

  auto training_step(double batch, auto&) {
    if (!in_validation && !failed && batch == fails_at) fail();
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto&) {
    if (in_validation && !failed) fail();
  }
  void fail() {
    failed = true;
    throw std::runtime_error("once");
  }
};

/// Knows how many batches its epoch has, if the trainer does.
struct Sized : toy::Model {
  std::optional<std::int64_t> size;

  auto training_step(double batch, auto& step) {
    size = step.batch_count();
    return toy::Loss{&weight, batch};
  }
};

/// Writes down what happens.
struct Diary : toy::Model {
  std::string events;

  auto training_step(double batch, auto& step) {
    events += "train ";
    if (batch == stop_at) step.stop();
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto&) { events += "validate "; }
  void on_fit_start(auto&) { events += "fit "; }
  void on_train_epoch_start(auto&) { events += "epoch "; }
  double stop_at = -1.0;
};

struct Both : toy::Model {
  std::vector<double> seen;
  auto training_step(double batch, auto& step) {
    step.log("loss", batch, fg::on_epoch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto& step) { step.log("loss", batch); }
  void on_validation_end(auto& step) { seen.push_back(*step.metrics().value("loss")); }
};

struct Counting {
  using slot = fg::slots::Callback;
  int batches = 0;
  void on_train_batch_end(const auto&, const auto&, auto&) { ++batches; }
};

struct EndsAtThree {
  using slot = fg::slots::Callback;
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == 3.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
  }
};

}  // namespace

TEST_CASE("after an exception the next fit begins the epoch anew") {
  Failing model;
  model.in_validation = GENERATE(false, true);
  model.fails_at = GENERATE(1.0, 2.0, 3.0);
  fg::Trainer trainer{model, fg::Accumulate<2>{}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(counting(3), counting(1)), std::runtime_error);
  CHECK(trainer.progress().epoch == 0);
  const double before = model.weight.value;
  trainer.fit(counting(3), counting(1));
  CHECK(model.weight.value == before - 1.5 - 3.0);
  CHECK(trainer.progress().epoch == 1);
}

TEST_CASE("a loop of the program's own knows nothing of the size of a fit's epochs") {
  const support::Notices quiet;
  Sized model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::MaxEpochs{1}};
  trainer.fit(counting(5));
  CHECK(model.size == 5);
  model.weight.value = 0.0;
  auto loop = trainer.loop();
  for (const double batch : counting(8)) loop.step(batch);
  CHECK_FALSE(model.size);
  CHECK(model.weight.value == -(2.5 + 6.5));
}

TEST_CASE("a fit in the middle of an epoch of the program's own loop is refused") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  auto loop = trainer.loop();
  loop.step(1.0);
  CHECK_THROWS_MATCHES(trainer.fit(counting(3)), std::logic_error,
                       Message("fulgurite: fit was called in the middle of an epoch of the program's own loop: end it first, "
                               "loop.end_epoch()"));
  loop.end_epoch();
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(counting(3));
  CHECK(model.weight.value == -1.0 - 6.0);
}

TEST_CASE("limits count whether they are values, fixed in a type, or types alone") {
  toy::Model a, b, c;
  fg::Trainer fixed{a, fg::Fixed<fg::MaxEpochs{2}>{}};
  fixed.fit(counting(1));
  CHECK(a.weight.value == -2.0);
  fg::Trainer<toy::Model, fg::Fixed<fg::MaxSteps{3}>> named{b};
  named.fit(counting(1));
  CHECK(b.weight.value == -3.0);
  fg::Trainer<toy::Model, fg::MaxSteps> nothing{c};  // its default is 0 steps
  nothing.fit(counting(1));
  CHECK(c.weight.value == 0.0);
  fg::Trainer<toy::Model> unnamed{c, fg::MaxEpochs{2}};
  unnamed.fit(counting(1));
  CHECK(c.weight.value == -2.0);
}

TEST_CASE("a limit's value wins over one that is fixed in its type") {
  const auto progress_of = [](auto... types_and_values) {
    toy::Model model;
    fg::Trainer<toy::Model, decltype(types_and_values.first)...> trainer{model, types_and_values.second...};
    trainer.fit(counting(4));
    return trainer.progress();
  };
  CHECK(progress_of(std::pair{fg::Fixed<fg::MaxEpochs{2}>{}, fg::MaxEpochs{3}}).epoch == 3);
  CHECK(progress_of(std::pair{fg::Fixed<fg::FastDevRun{.batches = 2}>{}, fg::FastDevRun{.batches = 3}}).batches == 3);
}

TEST_CASE("a rehearsal overrides the other limits, in whichever order they are given and whether or not types name them") {
  const auto require_rehearsal = [](auto trainer) {
    trainer.fit(counting(4));
    CHECK(trainer.progress().epoch == 1);
    CHECK(trainer.progress().batches == 1);
  };
  toy::Model model;
  require_rehearsal(fg::Trainer{model, fg::FastDevRun{}, fg::MaxEpochs{3}});
  require_rehearsal(fg::Trainer{model, fg::MaxEpochs{3}, fg::FastDevRun{}});
  require_rehearsal(fg::Trainer<toy::Model>{model, fg::FastDevRun{}, fg::MaxEpochs{3}});
  require_rehearsal(fg::Trainer<toy::Model, fg::FastDevRun>{model, fg::MaxEpochs{3}});
  require_rehearsal(fg::Trainer<toy::Model, fg::MaxEpochs>{model, fg::FastDevRun{}});
}

TEST_CASE("a callback may end an epoch too") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, EndsAtThree{}};
  trainer.fit(counting(5));
  CHECK(model.weight.value == -3.0);
}

namespace {
/// One batch, made when it is looked at.
struct MadeOnDemand {
  std::string* events;

  struct Iterator {
    std::string* events;
    int left;

    double operator*() const {
      *events += "make ";
      return 1.0;
    }
    Iterator& operator++() {
      --left;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return left != other.left; }
  };
  Iterator begin() const { return {events, 1}; }
  Iterator end() const { return {events, 0}; }
};
}  // namespace

TEST_CASE("the epoch begins before its first batch is made") {
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(MadeOnDemand{&model.events});
  CHECK(model.events == "fit epoch make train ");
}

TEST_CASE("a fit with nothing left to train calls no hook") {
  Diary model;
  fg::Trainer trainer{model, fg::MaxEpochs{0}};
  trainer.fit(counting(3));
  CHECK(model.events.empty());
}

TEST_CASE("a stop that a hook asks for is followed by a validation") {
  Diary model;
  model.stop_at = 2.0;
  fg::Trainer trainer{model};
  trainer.fit(counting(5), counting(1));
  CHECK(model.events == "fit epoch train train validate ");
}

TEST_CASE("a limit that the ranges cannot meet is refused before anything is trained") {
  Diary model;
  fg::Trainer trainer{model, fg::LimitBatches{.validation = fg::Fraction{0.1}}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(counting(3), counting(2)), std::invalid_argument);
  CHECK(model.events.empty());
}

TEST_CASE("a policy whose defaults are invalid needs a value") {
  toy::Model model;
  CHECK_THROWS_AS((fg::Trainer<toy::Model, fg::AccumulateSchedule>{model}), std::invalid_argument);
}

TEST_CASE("an empty pointer instead of a model is refused") {
  CHECK_THROWS_MATCHES((fg::Trainer{std::shared_ptr<toy::Model>()}), std::invalid_argument,
                       Message("fulgurite: fg::Trainer was given an empty pointer instead of a model"));
}

TEST_CASE("a trainer keeps a model that is shared with it") {
  auto model = std::make_shared<toy::Model>();
  const std::weak_ptr<toy::Model> alive = model;
  {
    fg::Trainer trainer{model, fg::MaxEpochs{1}};
    model.reset();
    trainer.fit(counting(3));
    CHECK(trainer.model().weight.value == -6.0);
  }
  CHECK(alive.expired());
}

TEST_CASE("a schedule by batches counts the same however an epoch ends") {
  struct Halved : toy::Model {
    auto configure_optimizers() {
      return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryBatch{3});
    }
  };
  Halved by_last, by_end;
  fg::Trainer first{by_last, fg::Accumulate<4>{}};
  fg::Trainer second{by_end, fg::Accumulate<4>{}};
  auto one = first.loop();
  auto other = second.loop();
  one.step(1.0), one.step(1.0), one.step(1.0, fg::last);
  other.step(1.0), other.step(1.0), other.step(1.0), other.end_epoch();
  CHECK(first.optimizer().lr(0) == 0.5);
  CHECK(second.optimizer().lr(0) == 0.5);
}

TEST_CASE("one name logged in training and in validation has the mean of each") {
  Both model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  trainer.fit(counting(3), std::vector<double>{10.0, 20.0});
  CHECK(model.seen == std::vector<double>{15.0, 15.0});
}

TEST_CASE("a callback can be read back") {
  toy::Model model;
  fg::Trainer trainer{model, Counting{}, fg::MaxEpochs{1}};
  trainer.fit(counting(3));
  CHECK(trainer.callback<Counting>().batches == 3);
}

namespace {
struct Lifetime : toy::Model {
  std::string events;

  void setup() { events += "setup "; }
  auto configure_optimizers() {
    events += "configure ";
    return toy::Model::configure_optimizers();
  }
  void on_fit_start(fg::Run&) { events += "fit "; }
  void on_train_start(auto&) { events += "train "; }
  void on_train_end(auto&) { events += "trained "; }
  void on_fit_end(const auto&) { events += "end "; }
  void teardown() { events += "teardown "; }
};
}  // namespace

TEST_CASE("a trainer is set up once, and torn down after each fit") {
  Lifetime model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK(model.events == "setup configure ");
  trainer.fit(counting(1));
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(counting(1));
  CHECK(model.events == "setup configure fit train trained end teardown fit train trained end teardown ");
}

namespace {
struct ActsInHook : toy::Model {
  std::function<void()> act;
  void validation_step(double, auto&) {}
  void on_train_batch_end(const auto&, const auto&, auto&) {
    if (act) act();
  }
};

/// What the trainer says in `act`.
template <class Act>
std::string said(const Act& act) {
  const support::Notices notices;
  act();
  return notices.text();
}
}  // namespace

TEST_CASE("a fit in a hook of a fit is refused as what it is, and the trainer can be used on") {
  ActsInHook model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.act = [&] { trainer.fit(counting(1)); };
  CHECK_THROWS_WITH(
      trainer.fit(counting(2)),
      "fulgurite: fit was called in a hook of a fit of the same trainer, which still runs: call it when that one has "
      "returned. To train longer from within a hook, raise the limit, "
      "trainer.set_limit(fg::MaxEpochs{...})");
  model.act = [&] { trainer.set_limit(fg::MaxEpochs{2}); };  // what the message advises
  trainer.fit(counting(2));
  CHECK(trainer.progress().epoch == 2);
}

TEST_CASE("a step or an epoch's end of the program's own loop in a hook of a fit is refused, and nothing is trained by it") {
  const std::string of_hook = " was called in a hook of a fit of the same trainer, which still runs: call it when that one has "
                              "returned. A program that trains batch by batch calls loop.step instead of fit";
  ActsInHook model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  auto loop = trainer.loop();
  int refused = 0;
  model.act = [&] {
    CHECK_THROWS_WITH(loop.step(1.0), "fulgurite: loop.step" + of_hook);
    CHECK_THROWS_WITH(loop.step(1.0, fg::last), "fulgurite: loop.step" + of_hook);
    CHECK_THROWS_WITH(loop.end_epoch(), "fulgurite: loop.end_epoch" + of_hook);
    CHECK(trainer.progress().epoch == 0);
    ++refused;
  };
  trainer.fit(counting(2));
  CHECK(refused == 2);
  CHECK(trainer.progress().batches == 2);
  CHECK(trainer.progress().epoch == 1);
  model.act = nullptr;
  const support::Notices quiet;
  loop.step(1.0);  // what the message advises
  loop.end_epoch();
  CHECK(trainer.progress().batches == 3);
  CHECK(trainer.progress().epoch == 2);
}

namespace {
struct StepsAround : toy::Model {
  std::function<void()> act;
  void on_fit_start(auto&) { act(); }
};
}  // namespace

TEST_CASE("a step of the program's own loop in a hook around a fit, before the first epoch, is refused") {
  StepsAround model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.act = [&] { trainer.loop().step(1.0); };
  CHECK_THROWS_WITH(trainer.fit(counting(2)), ContainsSubstring("loop.step was called in a hook of a fit"));
  CHECK(trainer.progress() == fg::Progress{});
}

TEST_CASE("a fit in a hook of the program's own loop is refused, and works when its epoch has ended") {
  const support::Notices quiet;
  ActsInHook model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  model.act = [&] { trainer.fit(counting(1)); };
  auto loop = trainer.loop();
  CHECK_THROWS_WITH(loop.step(1.0),
                    "fulgurite: fit was called in a hook of loop.step of the same trainer, which still runs: call it when that "
                    "one has returned, and the epoch of the program's own loop has ended");
  model.act = nullptr;
  loop.end_epoch();
  trainer.fit(counting(1));
  CHECK(trainer.progress().epoch == 2);
}

TEST_CASE("a fit in the middle of an epoch of the program's own loop names that loop") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  auto loop = trainer.loop();
  const support::Notices quiet;
  loop.step(1.0);
  CHECK_THROWS_WITH(trainer.fit(counting(1)),
                    "fulgurite: fit was called in the middle of an epoch of the program's own loop: end it first, "
                    "loop.end_epoch()");
  loop.end_epoch();  // what the message advises
  trainer.fit(counting(1));
  CHECK(trainer.progress().batches == 2);
}

namespace {
/// Acts once in one of its hooks.
struct ActsOnce : toy::Model {
  std::string hook;
  std::function<void()> act;

  void in(const std::string& name) {
    if (hook == name && act) std::exchange(act, nullptr)();
  }
  auto training_step(double batch, auto&) {
    in("training_step");
    return toy::Loss{&weight, batch};
  }
  void on_train_epoch_start(auto&) { in("on_train_epoch_start"); }
  void on_train_batch_start(double, auto&) { in("on_train_batch_start"); }
  void on_before_optimizer_step(auto&, auto&) { in("on_before_optimizer_step"); }
  void on_train_batch_end(const auto&, double, auto&) { in("on_train_batch_end"); }
  void on_train_epoch_end(auto&) { in("on_train_epoch_end"); }
  void validation_step(double, auto&) { in("validation_step"); }
  void on_validation_end(auto&) { in("on_validation_end"); }
};
}  // namespace

TEST_CASE("a call of the program's own loop or a fit in a hook of such a call is refused, and nothing is changed by it") {
  const support::Notices quiet;
  const std::string end = " of the same trainer, which still runs: call it when that one has returned";
  const auto step = [](auto& loop) { loop.step(2.0); };
  const auto last = [](auto& loop) { loop.step(2.0, fg::last); };
  const auto end_epoch = [](auto& loop) { loop.end_epoch(); };
  const auto validate = [](auto& loop) { loop.validate(counting(1)); };
  const auto check = [&](const char* hook, const char* running, auto run, bool in_step = true) {
    INFO(hook << " of " << running);
    ActsOnce model, expected;
    fg::Trainer trainer{model, fg::MaxEpochs{9}, fg::Accumulate<2>{}}, same{expected, fg::MaxEpochs{9}, fg::Accumulate<2>{}};
    auto loop = trainer.loop(), same_loop = same.loop();
    if (std::string(hook) != "on_train_epoch_start") {
      loop.step(1.0);
      same_loop.step(1.0);
    }
    int refused = 0;
    model.hook = hook;
    model.act = [&] {
      const auto before = trainer.progress();
      const double weight = model.weight.value, gradient = model.weight.gradient;
      const std::string of_hook = " was called in a hook of " + std::string(running) + end;
      CHECK_THROWS_WITH(loop.step(5.0), "fulgurite: loop.step" + of_hook);
      CHECK_THROWS_WITH(trainer.loop().step(5.0, fg::last), "fulgurite: loop.step" + of_hook);
      CHECK_THROWS_WITH(loop.end_epoch(), "fulgurite: loop.end_epoch" + of_hook);
      CHECK_THROWS_WITH(trainer.fit(counting(1)),
                        "fulgurite: fit" + of_hook + ", and the epoch of the program's own loop has ended");
      if (in_step) trainer.validate(counting(2));  // is allowed, and leaves the rest refused
      CHECK_THROWS_WITH(loop.step(5.0), "fulgurite: loop.step" + of_hook);
      CHECK(trainer.progress() == before);
      CHECK(model.weight.value == weight);
      CHECK(model.weight.gradient == gradient);
      ++refused;
    };
    run(loop);
    run(same_loop);
    CHECK(refused == 1);
    for (auto* each : {&loop, &same_loop}) {  // what the messages advise
      each->step(3.0);
      each->step(4.0, fg::last);
    }
    CHECK(trainer.progress() == same.progress());
    CHECK(model.weight.value == expected.weight.value);
    trainer.fit(counting(1));
    CHECK(trainer.progress().epoch == 9);
  };
  for (const char* hook :
       {"training_step", "on_train_batch_start", "on_before_optimizer_step", "on_train_batch_end", "on_train_epoch_start"}) {
    check(hook, "loop.step", step);
    check(hook, "loop.step", last);
  }
  check("on_train_epoch_end", "loop.step", last);
  check("on_train_epoch_end", "loop.end_epoch", end_epoch);
  check("validation_step", "a validation", validate, false);
  check("on_validation_end", "a validation", validate, false);
}

TEST_CASE("after an exception in a call of the program's own loop, its next calls are allowed") {
  const support::Notices quiet;
  for (const char* hook :
       {"training_step", "on_train_batch_end", "on_train_epoch_start", "on_train_epoch_end", "validation_step"}) {
    INFO(hook);
    ActsOnce model;
    model.hook = hook;
    model.act = [] { throw std::runtime_error("once"); };
    fg::Trainer trainer{model};
    auto loop = trainer.loop();
    CHECK_THROWS_WITH((loop.step(1.0), loop.validate(counting(1)), loop.end_epoch()), "once");
    loop.step(2.0);
    loop.step(3.0, fg::last);
    trainer.set_limit(fg::MaxEpochs{trainer.progress().epoch + 1});
    trainer.fit(counting(1));
  }
}

TEST_CASE("a validation may be made in a hook of a fit") {
  ActsInHook model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.act = [&] { trainer.validate(counting(1)); };
  trainer.fit(counting(2));
  CHECK(trainer.progress().batches == 2);
}

TEST_CASE("a fit that trains nothing says which limit it is, and what raises it") {
  const auto of = [](auto limit) {
    return said([&] {
      toy::Model model;
      fg::Trainer trainer{model, limit};
      trainer.fit(counting(2));
      trainer.fit(counting(2));
    });
  };
  CHECK(of(fg::MaxEpochs{3}) ==
        "fulgurite: fit trains nothing, since fg::MaxEpochs{3} has been reached: to train longer, "
        "trainer.set_limit(fg::MaxEpochs{...})\n");
  CHECK(of(fg::MaxSteps{3}) ==
        "fulgurite: fit trains nothing, since fg::MaxSteps{3} has been reached: to train longer, "
        "trainer.set_limit(fg::MaxSteps{...})\n");
  const std::string time_is_up =
      "fulgurite: fit trains nothing, since the time of fg::MaxTime has passed: to train longer, "
      "trainer.set_limit(fg::MaxTime{...})\n";
  CHECK(of(fg::MaxTime{std::chrono::seconds{0}}) == time_is_up + time_is_up);
  CHECK(of(fg::FastDevRun{}) ==
        "fulgurite: fit trains nothing, since an epoch has ended, and fg::FastDevRun takes the first alone: make a new trainer "
        "to rehearse "
        "again\n");
  const std::string no_batch = "fulgurite: fit trains nothing, since fg::LimitBatches takes no batch of the training range\n";
  CHECK(of(fg::LimitBatches{.train = fg::Batches{0}}) == no_batch + no_batch);
}

TEST_CASE("of several limits the one is named that has been reached") {
  const auto of = [](auto... limits) {
    return said([&] {
      toy::Model model;
      fg::Trainer trainer{model, limits...};
      trainer.fit(counting(2));
      trainer.fit(counting(2));
    });
  };
  CHECK_THAT(of(fg::MaxEpochs{9}, fg::MaxSteps{3}), ContainsSubstring("since fg::MaxSteps{3} has been reached"));
  CHECK_THAT(of(fg::MaxEpochs{1}, fg::MaxSteps{9}), ContainsSubstring("since fg::MaxEpochs{1} has been reached"));
  CHECK_THAT(of(fg::MaxSteps{9}, fg::MaxTime{std::chrono::seconds{0}}), ContainsSubstring("since the time of fg::MaxTime has"));
}

TEST_CASE("limits that a loop of the program's own leaves alone are named once") {
  const auto of = [](auto... limits) {
    return said([&] {
      toy::Model model;
      fg::Trainer trainer{model, limits...};
      auto loop = trainer.loop();
      for (int epoch = 0; epoch < 3; ++epoch) loop.step(1.0), loop.step(2.0, fg::last);
      trainer.loop().step(1.0);
    });
  };
  CHECK(of() == "");
  CHECK(of(fg::LogEvery{1}, fg::LimitBatches{.validation = fg::Batches{1}}) == "");
  CHECK(of(fg::MaxSteps{2}) ==
        "fulgurite: in a loop of the program's own fg::MaxSteps does nothing: the program ends the loop, by loop.progress() say, and "
        "validates, by loop.validate(range)\n");
  CHECK_THAT(of(fg::MaxSteps{2}, fg::ValidateEvery{.interval = fg::Batches{1}}, fg::MaxEpochs{1}),
             ContainsSubstring("fg::MaxEpochs, fg::MaxSteps and fg::ValidateEvery do nothing"));
  CHECK_THAT(of(fg::ValidateAcrossEpochs{5}), ContainsSubstring("fg::ValidateAcrossEpochs does nothing"));
  CHECK_THAT(of(fg::FastDevRun{}), ContainsSubstring("fg::FastDevRun does nothing"));
}

TEST_CASE("a fit says nothing of limits that it keeps") {
  CHECK(said([] {
    toy::Model model;
    fg::Trainer trainer{model, fg::MaxEpochs{2}, fg::MaxSteps{3}};
    trainer.fit(counting(2));
  }) == "");
}
