// SPDX-License-Identifier: MIT
#include <fulgurite/loop/engine.hpp>

#include <catch2/catch_test_macros.hpp>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
/// A user's own policy in each slot that is open.
struct EveryThird {
  using slot = fg::slots::Accumulation;
  static constexpr fg::PartialWindow partial = fg::PartialWindow::own_mean;
  std::int64_t window(std::int64_t) const { return 3; }
};
struct Halve {
  using slot = fg::slots::Clipping;
  void clip(auto& gradients) const { gradients.scale(0.5); }
};

struct Overriding : toy::Model {
  int clipped = 0, scheduled = 0;
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    ++clipped;
    step.clip_gradients(optimizer, fg::ClipValue{.max = 1.0});
  }
  void lr_scheduler_step(auto& scheduler, auto&) {
    if (++scheduled % 2 == 0) scheduler.step();
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::EveryStep{});
  }
};

/// Logs before each step of its optimizer.
struct LoggingSteps : toy::Model {
  double value = 1.0;
  void on_before_optimizer_step(auto&, auto& step) { step.log("value", value, fg::on_epoch); }
};
}  // namespace

TEST_CASE("policies of the user's own take part like the built-in ones") {
  toy::Model model;
  fg::Trainer trainer{model, EveryThird{}, Halve{}, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(3));
  CHECK(model.weight.value == -1.0);  // half of the mean of 1, 2, 3
  CHECK(trainer.progress().global_step == 1);
}

TEST_CASE("configure_gradient_clipping and lr_scheduler_step replace what the library would do") {
  Overriding model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::counting(4));
  CHECK(model.clipped == 4);
  CHECK(model.scheduled == 4);
  CHECK(trainer.optimizer().rate == 0.25);  // every second step of the schedule went through
  CHECK(model.weight.value == -(1.0 + 1.0 + 0.5 + 0.5));
}

TEST_CASE("ending an epoch twice ends it once") {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  loop.step(1.0);
  loop.end_epoch();
  loop.end_epoch();
  CHECK(trainer.progress().epoch == 1);
  CHECK(trainer.progress().global_step == 1);
  CHECK(model.weight.value == -1.0);
}

TEST_CASE("what is logged when the end of an epoch closes a window weighs as much as in a batch") {
  LoggingSteps model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
  auto loop = trainer.loop();
  for (int batch = 0; batch < 3; ++batch) loop.step(1.0);
  model.value = 3.0;
  loop.end_epoch();
  CHECK(trainer.metric("value") == 2.0);
}
