// SPDX-License-Identifier: MIT
#include <fulgurite/loop/fit_run.hpp>

#include <catch2/catch_test_macros.hpp>

#include <stdexcept>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

struct Model : toy::Model {
  std::vector<std::string> calls;

  auto training_step(double batch, auto& step) {
    calls.push_back("training_step " + std::to_string(step.batch_index()));
    step.log("weight", weight.value);
    return toy::Model::training_step(batch, step);
  }
  void on_train_batch_end(const auto&, double, auto&) { calls.push_back("on_train_batch_end"); }
};

// Passes over the training range once more when the fit has ended.
struct Again {
  using slot = fg::slots::Callback;
  std::int64_t passed = -1;
  double expected = 0.0;

  void on_train_end(auto& run) {
    CHECK(run.max_epochs() == 1);
    CHECK(run.model().weight.value == expected);
    run.model().calls.clear();
    passed = run.pass_forward();
    CHECK(passed == 2);
  }
};

}  // namespace

/// Is to be begun anew before each walk.
struct Spent : toy::Range {
  using toy::Range::Range;
  std::vector<std::int64_t> epochs;
  void set_epoch(std::int64_t epoch) { epochs.push_back(epoch); }
};

TEST_CASE("a pass forward calls training_step on what the fit trained on, and nothing else") {
  Model model;
  Spent range{1.0, 2.0, 3.0};
  fg::Trainer trainer{model, Again{.expected = -3.0}, fg::MaxEpochs{1}, fg::LimitBatches{.train = fg::Batches{2}}};
  trainer.fit(range);
  CHECK(model.calls == std::vector<std::string>{"training_step 0", "training_step 1"});
  CHECK(model.weight.value == -3.0);
  CHECK(trainer.metric("weight") == -1.0);  // in the second batch, not in the pass
  CHECK(trainer.progress().batches == 2);
  CHECK(range.epochs == std::vector<std::int64_t>{0, 1});  // the pass begins the range as the next epoch would
}

namespace {

std::vector<std::string> events;

struct Scope {
  std::string name;
  explicit Scope(const char* given) : name(given) { events.push_back(name + " begins"); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;
  ~Scope() { events.push_back(name + " ends"); }
};

template <char name>
struct Scoped {
  using slot = fg::slots::Callback;
  Scope validation_scope(auto&) {
    static constexpr char text[] = {name, '\0'};
    return Scope(text);
  }
};
/// Whose pass needs no end.
struct Unscoped {
  using slot = fg::slots::Callback;
  void validation_scope(auto&) { events.push_back("unscoped"); }
};
struct Bystander {
  using slot = fg::slots::Callback;
  void on_validation_start(auto&) { events.push_back("start"); }
  void on_validation_epoch_start(auto&) { events.push_back("epoch start"); }
  void on_validation_epoch_end(auto&) { events.push_back("epoch end"); }
  void on_validation_end(auto&) { events.push_back("end"); }
};

struct Validated : toy::Model {
  bool fails = false;
  void validation_step(double, auto&) {
    events.push_back("step");
    if (fails) throw std::runtime_error("broken batch");
  }
  Scope validation_scope(auto&) { return Scope("model"); }
};

}  // namespace

TEST_CASE("what validation_scope gives lives around the pass and ends in the opposite order, also by an exception") {
  Validated model;
  fg::Trainer trainer{model, Scoped<'a'>{}, Bystander{}, Unscoped{}, Scoped<'b'>{}};
  events.clear();
  trainer.validate(toy::counting(1));
  CHECK(events == std::vector<std::string>{"start", "a begins", "unscoped", "b begins", "model begins", "epoch start",
                                           "step", "epoch end", "model ends", "b ends", "a ends", "end"});
  model.fails = true;
  events.clear();
  CHECK_THROWS_AS(trainer.validate(toy::counting(1)), std::runtime_error);
  CHECK(events == std::vector<std::string>{"start", "a begins", "unscoped", "b begins", "model begins", "epoch start",
                                           "step", "model ends", "b ends", "a ends"});
}

namespace {
struct Asks : toy::Model {
  bool with_epochs = false;
  void validation_step(double, auto&) {}
  void on_fit_start(auto& run) { with_epochs = run.metrics_come_with_epochs(); }
};
}  // namespace

TEST_CASE("metrics come with epochs unless validations come at other times") {
  Asks model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}, fg::ValidateEvery{.epochs = 2}};
  trainer.fit(toy::counting(1));
  CHECK(model.with_epochs);
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(toy::counting(1), toy::counting(1));
  CHECK_FALSE(model.with_epochs);
  trainer.set_limit(fg::MaxEpochs{3});
  trainer.set_limit(fg::ValidateEvery{});
  trainer.fit(toy::counting(1), toy::counting(1));
  CHECK(model.with_epochs);
}
