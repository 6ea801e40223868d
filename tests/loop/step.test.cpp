// SPDX-License-Identifier: MIT
#include <fulgurite/loop/step.hpp>

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
/// No template: the step's policy-free base, as a model in a .cpp file takes it.
struct Plain {
  toy::Weight weight;
  std::vector<bool> lasts;

  toy::Loss training_step(const double& batch, fg::Step<Plain>& step) {
    lasts.push_back(step.is_last_batch());
    step.log("batch", batch, fg::on_epoch);
    step.log_dict({{"twice", 2 * batch}, {"index", step.batch_index()}});
    if (step.global_step() == 4) step.stop();
    return {&weight, batch};
  }
  void validation_step(const double& batch, fg::Step<Plain>& step) {
    if (!step.is_training()) step.log("seen", batch);
  }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};
}  // namespace

TEST_CASE("a model that is not a template trains, logs, and may stop") {
  Plain model;
  fg::Trainer trainer{model, fg::MaxEpochs{9}};
  trainer.fit(toy::counting(3), toy::Range{5.0, 7.0});
  CHECK(model.lasts == std::vector<bool>{false, false, true, false, false});
  CHECK(trainer.progress().global_step == 5);
  CHECK(trainer.metric("batch") == 1.5);  // mean of the epoch that was cut
  CHECK(trainer.metric("twice") == 4.0);
  CHECK(trainer.metric("index") == 1.0);
  CHECK(trainer.metric("seen") == 6.0);
  CHECK_FALSE(trainer.metric("unknown"));
}

namespace {
struct Logs : toy::Model {
  void validation_step(double batch, auto& step) {
    step.log_dict(std::map<std::string, double>{{"mean", batch}, {"twice", 2.0 * batch}});
    step.log_dict(std::map<std::string, double>{{"last", batch}}, fg::on_step);
    step.log("both", batch, fg::on_step | fg::on_epoch);
    step.log("one", batch, fg::on_step);
  }
};
}  // namespace

TEST_CASE("in a validation a value counts in the mean unless it is logged by batch, several at once as well") {
  Logs model;
  fg::Trainer trainer{model};
  trainer.validate(toy::Range{1.0, 3.0});
  const std::map<std::string, double> expected{{"mean", 2.0}, {"twice", 4.0}, {"last", 3.0}, {"one", 3.0},
                                               {"both", 2.0}, {"both_step", 3.0}, {"both_epoch", 2.0}};
  CHECK(trainer.metrics().values() == expected);
}

namespace {
struct ClipsWrongly : toy::Model {
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    step.clip_gradients(optimizer, fg::ClipValue{.max = 0.0});
  }
};
}  // namespace

TEST_CASE("gradients are not clipped by values without sense") {
  ClipsWrongly model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(toy::Range{1.0}), std::invalid_argument);
  CHECK(model.weight.gradient == 1.0);
  CHECK(model.weight.value == 0.0);
}
