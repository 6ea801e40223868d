// SPDX-License-Identifier: MIT
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <stdexcept>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;
using toy::counting;

namespace {
struct Decaying : toy::Model {
  int validated = 0;
  void validation_step(double, auto&) { ++validated; }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight}).with(fg::StepDecay{.step_size = 1, .gamma = 0.5});
  }
};

struct Ending : toy::Model {
  fg::EpochControl on_train_batch_start(double batch, auto&) {
    return batch == 3.0 ? fg::EpochControl::end_epoch : fg::EpochControl::go_on;
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

TEST_CASE("values without sense are refused") {
  toy::Model model;
  CHECK_THROWS_AS((fg::Trainer{model, fg::MaxEpochs{-1}}), std::invalid_argument);
  CHECK_THROWS_AS((fg::Trainer{model, fg::ClipNorm{.max = 0.0}}), std::invalid_argument);
}

TEST_CASE("an empty training range is refused") {
  toy::Model model;
  fg::Trainer trainer{model};
  CHECK_THROWS_AS(trainer.fit(toy::Range{}), std::invalid_argument);
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

TEST_CASE("only so many batches are taken") {
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

TEST_CASE("an embedded loop closes its windows") {
  Decaying model;
  fg::Trainer trainer{model, fg::Accumulate<4>{}};
  auto loop = trainer.loop();
  for (const double batch : {1.0, 2.0, 3.0}) CHECK_FALSE(loop.step(batch).stepped);
  loop.end_epoch();
  CHECK(model.weight.value == -2.0);
  CHECK(trainer.optimizer().rate == 0.5);
  CHECK(loop.step(4.0, fg::last).stepped);
  CHECK(model.weight.value == -4.0);
  CHECK(loop.progress().epoch == 2);
}
