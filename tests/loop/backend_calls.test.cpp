// SPDX-License-Identifier: MIT
// What a training asks of the world that its model lives in, and when: guards around its parts, words before it begins.
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
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

using Calls = std::vector<std::string>;
Calls calls;
std::string modes;    // of the model, to be mentioned
std::string refusal;  // of a model that cannot be trained

struct Guard {
  std::string name;
  explicit Guard(std::string given) : name(std::move(given)) { calls.push_back(name + "("); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  ~Guard() { calls.push_back(")" + name); }
};

/// Writes down what it is asked.
struct Backend : fg::PlainBackend {
  using PlainBackend::PlainBackend;
  static constexpr bool explains_errors = true;

  Guard training_guard() const { return Guard("training"); }
  Guard forward_guard() const { return Guard("forward"); }
  Guard random_guard() const { return Guard("random"); }
  template <class Model>
  Guard evaluation_guard(Model&) const {
    return Guard("evaluation");
  }
  template <class Model, class ForEachParameter>
  void require_same_parameters(Model&, const ForEachParameter&) const {
    calls.push_back("same parameters?");
    if (!refusal.empty()) throw std::logic_error(refusal);
  }
  template <class Model>
  std::string modes_to_mention(Model&) const {
    calls.push_back("modes?");
    return modes;
  }
  template <class Model>
  std::string first_non_finite_gradient(Model&) const {
    return "weight";
  }
  template <class Batch, class Where, class Act>
  static decltype(auto) in_context(const Batch&, const Where& where, const Act& act) {
    try {
      return act();
    } catch (const std::runtime_error& error) {
      if (std::string(error.what()) == "broken") throw std::runtime_error("broken " + where());
      throw;
    }
  }
};

struct Sgd : toy::Sgd {
  template <class Precision>
  using backend = Backend;
};

struct Model : toy::Model {
  toy::Checkpoint file;
  double breaks_at = -1.0;

  Model() {
    calls.clear();
    modes.clear();
    refusal.clear();
  }
  void break_at(double batch) const {
    if (batch == breaks_at) throw std::runtime_error("broken");
  }
  auto training_step(double batch, auto&) {
    calls.push_back("training_step");
    break_at(batch);
    return toy::Loss{&weight, batch};
  }
  void validation_step(double batch, auto&) {
    calls.push_back("validation_step");
    break_at(batch);
  }
  void on_fit_start(auto&) { calls.push_back("on_fit_start"); }
  void on_train_start(auto& run) {
    calls.push_back("on_train_start");
    run.when_at_rest([](auto&) { calls.push_back("asked for"); });
  }
  void on_train_epoch_start(auto&) { calls.push_back("on_train_epoch_start"); }
  void on_train_batch_end(const auto&, double, auto& step) {
    if (step.batch_index() == 0) toy::save(step, file);
  }
  auto configure_optimizers() { return fg::optimizer(Sgd{{&weight}}); }
};

/// Says that it is given an order.
struct Ordered : toy::Range {
  using toy::Range::Range;
  void set_epoch(std::int64_t epoch) { calls.push_back("set_epoch " + std::to_string(epoch)); }
};

const Calls forward_pass{"forward(", "training_step", ")forward"};

}  // namespace

TEST_CASE("a fit guards its parts, and looks at the model before it trains it") {
  Model model;
  modes = "a module is in evaluation mode";
  const support::Notices notices;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(Ordered{1.0}, counting(1));
  CHECK(calls == Calls{"training(", "same parameters?", "on_fit_start", "on_train_start", "asked for", "modes?", "set_epoch 0",
                       "on_train_epoch_start", "forward(", "training_step", ")forward", "evaluation(", "forward(",
                       "validation_step", ")forward", ")evaluation", ")training"});
  CHECK(notices.text() == "a module is in evaluation mode\n");
}

TEST_CASE("a loop of the program's own guards each step, and looks at the model once, before the first epoch") {
  Model model;
  modes = "a module is in evaluation mode";
  const support::Notices notices;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  loop.step(1.0);
  CHECK(calls == Calls{"training(", "same parameters?", "modes?", "on_train_epoch_start", "forward(", "training_step",
                       ")forward", ")training"});
  calls.clear();
  loop.step(1.0, fg::last);
  CHECK(calls == Calls{"training(", "forward(", "training_step", ")forward", ")training"});
  calls.clear();
  loop.step(1.0);
  CHECK(calls == Calls{"training(", "on_train_epoch_start", "forward(", "training_step", ")forward", ")training"});
  CHECK(notices.all.size() == 1);
}

TEST_CASE("an epoch that was loaded goes on in the program's own loop without a look; the first that begins there has one") {
  Model model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  toy::load(resumed, model.file);
  const support::Notices notices;
  auto loop = resumed.loop();
  calls.clear();
  loop.step(1.0);
  CHECK(calls == Calls{"training(", "forward(", "training_step", ")forward", ")training"});
  CHECK(notices.all.empty());
  loop.end_epoch();
  calls.clear();
  loop.step(1.0);
  CHECK(calls == Calls{"training(", "same parameters?", "modes?", "on_train_epoch_start", "forward(", "training_step",
                       ")forward", ")training"});
  CHECK(notices.all.size() == 1);  // of the limit that does nothing there
}

TEST_CASE("a model that cannot be trained any more is refused before anything is asked of a range") {
  Model model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  toy::load(resumed, model.file);
  refusal = "another model";
  calls.clear();
  CHECK_THROWS_WITH(resumed.fit(Ordered{1.0, 2.0, 3.0}), "another model");
  CHECK(calls == Calls{"training(", "same parameters?", ")training"});
  Model third;
  refusal = "another model";
  fg::Trainer own{third};
  CHECK_THROWS_WITH(own.loop().step(1.0), "another model");
  CHECK(calls == Calls{"training(", "same parameters?", ")training"});
}

TEST_CASE("a fit that goes on in an epoch draws its order without a trace") {
  Model model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}}, resumed{other, fg::MaxEpochs{1}};
  trainer.fit(Ordered{1.0, 2.0});
  toy::load(resumed, model.file);
  calls.clear();
  resumed.fit(Ordered{1.0, 2.0});
  CHECK(calls == Calls{"training(", "same parameters?", "random(", "set_epoch 0", ")random", "on_fit_start", "on_train_start",
                       "asked for", "modes?", "random(", "set_epoch 0", ")random", "random(", ")random", "forward(",
                       "training_step", ")forward", ")training"});
}

namespace {
struct Logger {
  using slot = fg::slots::Callback;
  void log_metrics(const fg::MetricsRow&) const {}
};
}  // namespace

TEST_CASE("of a fit that was loaded at its end nothing is said but that it has nothing to train") {
  Model model, other;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  fg::Trainer resumed{other, Logger{}, fg::LogEvery{9}, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  toy::load(resumed, toy::saved(trainer));
  modes = "a module is in evaluation mode";
  calls.clear();
  const support::Notices notices;
  resumed.fit(counting(2));
  CHECK(calls == Calls{"training(", "same parameters?", "on_fit_start", "on_train_start", "asked for", ")training"});
  CHECK(notices.all.size() == 1);
}

namespace {
struct LooksBack {
  using slot = fg::slots::Callback;
  void on_train_end(auto& run) {
    calls.clear();
    run.pass_forward();
  }
};
}  // namespace

TEST_CASE("a pass forward guards its forward passes") {
  Model model;
  fg::Trainer trainer{model, LooksBack{}, fg::MaxEpochs{1}};
  trainer.fit(counting(2));
  CHECK(calls == Calls{"forward(", "training_step", ")forward", "forward(", "training_step", ")forward", ")training"});
}

TEST_CASE("an error tells in which batch it came, of a training or of a validation") {
  Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  model.breaks_at = 2.0;
  CHECK_THROWS_WITH(trainer.fit(counting(2)), "broken in batch 1 of epoch 0");
  CHECK_THROWS_WITH(trainer.validate(counting(2)), "broken in batch 1 of a validation in epoch 0");
  CHECK_THROWS_WITH(trainer.loop().step(2.0), "broken in batch 0 of epoch 0");
}

namespace {
/// Finds what fg::ClipNorm{.error_if_nonfinite = true} may find.
struct Finds {
  using slot = fg::slots::Clipping;
  void clip(auto&) const { throw fg::NonFiniteGradient(); }
};
}  // namespace

TEST_CASE("a gradient that is not finite tells in which batch it came, and of which parameter it is") {
  const char* sentence =
      "fulgurite: the norm of the gradients is not finite in batch 0 of epoch 0, first in weight, and "
      "ClipNorm.error_if_nonfinite is set. No parameter was updated by them";
  Model model;
  fg::Trainer trainer{model, Finds{}, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(counting(2)), sentence);
  CHECK_THROWS_WITH(trainer.loop().step(1.0), sentence);
  CHECK(model.weight.value == 0.0);
}
