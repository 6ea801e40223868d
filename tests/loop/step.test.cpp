// SPDX-License-Identifier: MIT
#include <fulgurite/loop/step.hpp>

#include <catch2/catch_test_macros.hpp>

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
