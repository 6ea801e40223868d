// SPDX-License-Identifier: MIT
// What is noticed of a training_step that will be repeated without its code.
#include <fulgurite/concepts/step_watcher.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;
using fg::detail::StepNumber;

namespace {
struct Notes final : fg::detail::StepWatcher {
  bool metrics_too = true;
  std::vector<std::pair<StepNumber, std::int64_t>> numbers;
  std::vector<std::string> refused;
  std::vector<std::pair<std::string, std::optional<double>>> logs;

  bool on_log(const fg::detail::StepLog& call) override {
    logs.emplace_back(std::string(call.name), call.weight);
    return metrics_too;
  }
  void on_number(StepNumber number, std::int64_t value) override { numbers.emplace_back(number, value); }
  void on_unrepeatable(const char* call) override { refused.emplace_back(call); }
};

struct Model {
  toy::Weight weight;
  Notes notes;
  bool watched = false;

  auto training_step(double batch, auto& step) {
    std::optional<fg::detail::WatchingStep> watching;
    if (watched) watching.emplace(notes);
    step.epoch();
    step.is_last_batch();
    step.batch_count();
    step.is_training();
    step.batch_index();
    step.global_step();
    step.progress();
    step.metrics();
    static_cast<void>(step.optimizers());
    static_cast<void>(step.optimizer(fg::optimizer_index<0>));
    step.logging_due();
    step.log_step();
    static_cast<void>(step.in_fit());
    step.write_row({});
    step.log("plain", 2.0, fg::on_epoch);
    step.log("weighted", 3.0, fg::on_epoch, fg::Weight{4.0});
    return toy::Loss{&weight, batch};
  }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};
}  // namespace

TEST_CASE("a watcher is told of each call on the step, under its name, and nothing that the loop does itself") {
  Model model;
  model.watched = true;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0});
  CHECK(model.notes.numbers == std::vector<std::pair<StepNumber, std::int64_t>>{
                                   {StepNumber::epoch, 0}, {StepNumber::is_last_batch, 1}, {StepNumber::batch_count, 1},
                                   {StepNumber::epoch, 0}});  // the last one is write_row's
  const std::vector<std::string> expected{"step.batch_index()", "step.global_step()",   "step.progress()",
                                          "step.metrics()",     "step.optimizers()",    "step.optimizer()",
                                          "step.logging_due()", "step.log_step()",      "step.in_fit()",
                                          "step.write_row()"};
  std::vector<std::string> first_calls(model.notes.refused.begin(), model.notes.refused.begin() + 10);
  CHECK(first_calls == expected);
  CHECK(model.notes.logs == std::vector<std::pair<std::string, std::optional<double>>>{{"plain", std::nullopt}, {"weighted", 4.0}});
  CHECK(trainer.metric("plain") == 2.0);
  CHECK(trainer.metric("weighted") == 3.0);
}

TEST_CASE("a watcher is told which batch is the last one") {
  Model model;
  model.watched = true;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 2.0});
  std::vector<std::int64_t> lasts;
  for (const auto& [number, value] : model.notes.numbers) {
    if (number == StepNumber::is_last_batch) lasts.push_back(value);
  }
  CHECK(lasts == std::vector<std::int64_t>{0, 1});
}

TEST_CASE("a watcher may keep what is logged from the metrics") {
  Model model;
  model.watched = true;
  model.notes.metrics_too = false;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 2.0});
  CHECK(model.notes.logs.size() == 4);
  CHECK_FALSE(trainer.metric("plain"));
  CHECK_FALSE(trainer.metric("weighted"));
}

TEST_CASE("without a watcher nothing is noticed, and one is forgotten when its scope ends") {
  Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0});
  CHECK(model.notes.numbers.empty());
  CHECK(model.notes.refused.empty());
  CHECK(fg::detail::step_watcher == nullptr);
  {
    Notes outer, inner;
    const fg::detail::WatchingStep watching(outer);
    {
      const fg::detail::WatchingStep within(inner);
      CHECK(fg::detail::step_watcher == &inner);
    }
    CHECK(fg::detail::step_watcher == &outer);
  }
  CHECK(fg::detail::step_watcher == nullptr);
}

namespace {
/// Its schedules, a file and the size of its epoch.
struct Asking : toy::Model {
  Notes notes;

  auto training_step(double batch, auto& step) {
    const fg::detail::WatchingStep watching(notes);
    static_cast<void>(step.lr_schedulers());
    step.when_at_rest([](auto&) {});
    CHECK_FALSE(step.batch_count());
    return toy::Loss{&weight, batch};
  }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1}); }
};
}  // namespace

TEST_CASE("a watcher is told of schedules, of a file that is asked for, and of an epoch whose size is not known") {
  Asking model;
  fg::Trainer trainer{model};
  trainer.loop().step(1.0);
  CHECK(model.notes.refused == std::vector<std::string>{"step.lr_schedulers()", "fg::save_checkpoint"});
  CHECK(model.notes.numbers == std::vector<std::pair<StepNumber, std::int64_t>>{{StepNumber::batch_count, -1}});
}
