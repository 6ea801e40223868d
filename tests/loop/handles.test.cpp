// SPDX-License-Identifier: MIT
#include <fulgurite/loop/handles.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>
#include <vector>

#include "support/notices.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {
struct WarmUp : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    static_assert(std::remove_cvref_t<decltype(optimizer)>::index() == 0);
    if (step.global_step() < 2) optimizer.set_lr(0.25 * static_cast<double>(step.global_step() + 1));
    optimizer.step(closure);
  }
};
struct ClosureFirst : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.step();
  }
};
}  // namespace

TEST_CASE("a learning rate is warmed up by hand through the handle") {
  WarmUp model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0, 1.0, 1.0});
  CHECK(model.weight.value == -(0.25 + 0.5 + 0.5));
}

TEST_CASE("a closure that ran before the step gives it its gradients") {
  ClosureFirst model;
  fg::Trainer trainer{model, fg::ClipValue{.max = 1.0}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{3.0});
  CHECK(model.weight.value == -1.0);
  CHECK(trainer.progress().global_step == 1);
}

namespace {
/// Two groups of parameters.
struct TwoGroups : toy::Sgd {
  std::vector<double> rates{1.0, 2.0};

  std::int64_t group_count() const { return 2; }
  double lr(std::int64_t group) const { return rates.at(static_cast<std::size_t>(group)); }
  void set_lr(std::int64_t group, double lr) { rates.at(static_cast<std::size_t>(group)) = lr; }
};
struct SetsRates : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    optimizer.set_lr(0.5);
    if (step.global_step() == 1) optimizer.set_lr(1, 0.25);
    optimizer.step(closure);
  }
  auto configure_optimizers() { return fg::optimizer(TwoGroups{{&weight}}); }
};
}  // namespace

TEST_CASE("a learning rate is set for all groups, or for one") {
  SetsRates model;
  fg::Trainer trainer{model, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{1.0});
  CHECK(trainer.optimizer().rates == std::vector{0.5, 0.5});
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(toy::Range{1.0});
  CHECK(trainer.optimizer().rates == std::vector{0.5, 0.25});
}

namespace {
struct ByHand : toy::Model {
  bool zeroes = true;

  void training_step(double batch, auto& step) {
    auto optimizer = step.optimizers();
    if (zeroes) optimizer.zero_grad();
    step.manual_backward(toy::Loss{&weight, batch});
    optimizer.step();
  }
};
}  // namespace

TEST_CASE("by hand, a zero_grad through the handle is seen: only without one it is said that gradients add up") {
  for (const bool zeroes : {true, false}) {
    const support::Notices notices;
    ByHand model;
    model.zeroes = zeroes;
    fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
    trainer.fit(toy::Range{1.0, 2.0, 4.0});
    CHECK(model.weight.value == (zeroes ? -7.0 : -(1.0 + 3.0 + 7.0)));
    CHECK(notices.all.size() == (zeroes ? 0 : 1));
  }
}

namespace {
/// Advances its schedule by hand after its last batch.
template <bool Logs>
struct Follows : toy::Model {
  std::vector<double> best;
  std::int64_t steps = -1;

  void training_step(double batch, auto& step) {
    if (Logs) step.log("loss", batch, fg::on_step | fg::on_epoch);
    if (!step.is_last_batch()) return;
    auto schedule = step.lr_schedulers();
    schedule.step();
    steps = schedule.steps();
  }
  auto configure_optimizers() {
    return fg::optimizer(toy::Sgd{&weight})
        .lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0, .threshold = 0.0, .strict = false});
  }
};
}  // namespace

TEST_CASE("a schedule's handle advances it with the mean of the epoch, and not at all without a value") {
  Follows<true> model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  trainer.fit(toy::Range{5.0, 1.0});  // a mean of 3
  CHECK(model.steps == 1);
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(toy::Range{2.0, 2.0});  // which is better than 3, and not than 1
  CHECK(model.steps == 2);
  CHECK(trainer.optimizer().rate == 1.0);

  Follows<false> silent;
  fg::Trainer without{silent, fg::ManualOptimization{}, fg::MaxEpochs{1}};
  without.fit(toy::Range{1.0});
  CHECK(silent.steps == 0);
}
