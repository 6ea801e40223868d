// SPDX-License-Identifier: MIT
#include <fulgurite/loop/engine_step.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Curious : toy::Model {
  std::vector<std::optional<std::int64_t>> counts;
  bool knows_model = true;
  bool logging_due = false;

  auto training_step(double batch, auto& step) {
    logging_due = logging_due || step.logging_due();
    counts.push_back(step.batch_count());
    knows_model = knows_model && &step.model() == this;
    return toy::Loss{&weight, batch};
  }
  void validation_step(double, auto& step) { counts.push_back(step.batch_count()); }
};

struct ByHand : toy::Model {
  std::vector<std::string> events;
  std::vector<double> gradients;

  void training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    optimizer.step();
  }
  void on_before_backward(const toy::Loss&, auto&) {
    events.push_back("before");
    gradients.push_back(weight.gradient);
  }
  void on_after_backward(auto&) {
    events.push_back("after");
    gradients.push_back(weight.gradient);
  }
};
}  // namespace

TEST_CASE("a step knows its model, and its epoch's size in training only") {
  Curious model;
  fg::Trainer trainer{model, fg::LogEvery{1}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(2), toy::counting(1));
  CHECK(model.counts == std::vector<std::optional<std::int64_t>>{2, 2, std::nullopt});
  CHECK(model.knows_model);
  CHECK_FALSE(model.logging_due);  // there is no logger
}

TEST_CASE("a manual backward has its hooks") {
  ByHand model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(1));
  CHECK(model.events == std::vector<std::string>{"before", "after"});
  CHECK(model.gradients == std::vector<double>{0.0, 1.0});
  CHECK(model.weight.value == -1.0);
}

TEST_CASE("an outcome that nobody has filled is that of no batch") {
  const fg::StepResult<toy::Loss> outcome;
  CHECK(outcome.epoch == 0);
  CHECK(outcome.batch == 0);
  CHECK(outcome.global_step == 0);
}
