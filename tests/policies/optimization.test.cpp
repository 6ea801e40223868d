// SPDX-License-Identifier: MIT
#include <fulgurite/policies/optimization.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct Manual : toy::Model {
  void training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    optimizer.step();
    step.lr_schedulers().step();
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5});
  }
};
}  // namespace

TEST_CASE("a model may drive its optimizer and schedule") {
  Manual model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(2));
  CHECK(model.weight.value == -2.0);
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.optimizer().rate == 0.25);
}
