// SPDX-License-Identifier: MIT
#include <fulgurite/policies/non_finite.hpp>

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

TEST_CASE("a loss that is not finite stops, and changes nothing") {
  toy::Model model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  try {
    trainer.fit(toy::Range{1.0, std::numeric_limits<double>::quiet_NaN(), 2.0});
    FAIL("nothing was thrown");
  } catch (const fg::NonFiniteLoss& error) {
    CHECK(error.epoch() == 0);
    CHECK(error.batch() == 1);
  }
  CHECK(model.weight.value == -1.0);
}

TEST_CASE("a batch that is not finite is skipped, and no schedule advances for it") {
  struct Decaying : toy::Model {
    auto configure_optimizers() {
      return fg::optimizer(toy::Sgd{&weight}).with(fg::StepDecay{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
    }
  } model;
  fg::Trainer trainer{model, fg::SkipNonFinite{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, std::numeric_limits<double>::quiet_NaN(), 2.0});
  CHECK(model.weight.value == -2.0);
  CHECK(trainer.progress().skipped_steps == 1);
  CHECK(trainer.progress().global_step == 2);
  CHECK(trainer.optimizer().rate == 0.25);
}
