// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/standalone_scheduler.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

namespace {

/// As the optimizers of the library.
struct StrictRates : toy::Rates {
  void set_lr(std::int64_t group, double lr) {
    if (!(lr >= 0.0)) throw std::invalid_argument("a rate below 0");
    Rates::set_lr(group, lr);
  }
};

struct StrictMomentumRates : toy::MomentumRates {
  void set_lr(std::int64_t group, double lr) {
    if (!(lr >= 0.0)) throw std::invalid_argument("a rate below 0");
    Rates::set_lr(group, lr);
  }
};

/// Its momentum grows with each step, and its second group's rate falls below 0 at the second.
struct Heavier {
  double lr(const fg::RatePoint& point) const {
    return point.group == 1 && point.step == 2 ? -1.0 : point.base / static_cast<double>(point.step + 1);
  }
  std::optional<double> momentum(const fg::RatePoint& point) const { return 0.125 * static_cast<double>(point.step); }
};

/// Falls by the metric.
struct Falling {
  struct State {
    double fall = 0.0;
  };
  State start() const { return {}; }
  const char* monitor() const { return "loss"; }
  void advance(State& state, double metric) const { state.fall = metric; }
  double lr(const State& state, const fg::RatePoint& point) const { return point.current - state.fall; }
  void save(const State& state, fg::ScheduleState& saved) const { saved.set("fall", state.fall); }
  void load(State& state, const fg::ScheduleState& saved) const { state.fall = saved.number("fall"); }
};

}  // namespace

TEST_CASE("a schedule drives an optimizer without a trainer") {
  toy::MomentumRates optimizer;
  auto schedule = fg::schedule(optimizer, fg::StepLR{.step_size = 1, .gamma = 0.5});
  schedule.step();
  schedule.step();
  CHECK(optimizer.lr(0) == 0.25);
  CHECK(schedule.last_lr() == 0.25);
  CHECK(schedule.steps() == 2);
  CHECK(schedule.schedule() == fg::StepLR{.step_size = 1, .gamma = 0.5});
  optimizer.set_lr(0, 1.0);  // others may write too
  schedule.step();
  CHECK(optimizer.lr(0) == 0.5);
}

TEST_CASE("one that follows a metric is stepped with its value, others without") {
  toy::MomentumRates optimizer;
  auto plateau = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{.patience = 0});
  plateau.step(1.0);
  plateau.step(1.0);
  CHECK(optimizer.lr(0) == 0.1);
  CHECK(plateau.steps() == 2);
}

namespace {

/// Counts how often a rate is written.
struct CountingRates : toy::Rates {
  int writes = 0;

  void set_lr(std::int64_t group, double lr) {
    ++writes;
    Rates::set_lr(group, lr);
  }
};

/// The metric over the step.
struct OverStep {
  struct State {
    double metric = 0.0;
  };
  State start() const { return {}; }
  const char* monitor() const { return "loss"; }
  void advance(State& state, double metric) const { state.metric = metric; }
  double lr(const State& state, const fg::RatePoint& point) const { return state.metric / static_cast<double>(point.step); }
  void save(const State&, fg::ScheduleState&) const {}
  void load(State&, const fg::ScheduleState&) const {}
};

/// Drives a momentum that is there.
struct Halving {
  double lr(const fg::RatePoint& point) const { return point.current; }
  std::optional<double> momentum(const fg::RatePoint& point) const {
    return point.base > 0.0 || point.current > 0.0 ? std::optional(point.base / 2.0) : std::nullopt;
  }
};

}  // namespace

TEST_CASE("one that follows a metric is told the step, writes only what changes, and its values are checked") {
  CountingRates optimizer;
  auto over_step = fg::schedule(optimizer, OverStep{});
  over_step.step(6.0);
  CHECK(optimizer.lrs[0] == 6.0);
  over_step.step(6.0);
  CHECK(optimizer.lrs[0] == 3.0);

  optimizer.writes = 0;
  auto plateau = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{.patience = 0});
  plateau.step(1.0);
  CHECK(optimizer.writes == 0);
  plateau.step(1.0);
  CHECK(optimizer.writes == 1);
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{.factor = 2.0}),
                    "fulgurite: ReduceLROnPlateau.factor must be 0 or more and below 1");
}

TEST_CASE("to a schedule of the program's own, an optimizer without momentum has one of 0") {
  toy::Rates without;
  toy::MomentumRates with;
  CHECK_NOTHROW(fg::schedule(without, Halving{}));
  fg::schedule(with, Halving{});
  CHECK(with.momenta == std::vector<double>{0.45});
}

TEST_CASE("a rate that the optimizer refuses leaves all rates, and the schedule's count, as they were") {
  StrictRates optimizer{{{2.0, 1.0}}};
  auto falls = fg::schedule(optimizer, fg::LambdaLR{[](std::int64_t step) { return 1.0 - 0.25 * static_cast<double>(step); },
                                                          [](std::int64_t step) { return 1.0 - 0.75 * static_cast<double>(step); }});
  falls.step();
  const std::vector<double> before = optimizer.lrs;
  const fg::ScheduleState state = falls.state();
  CHECK_THROWS_AS(falls.step(), std::invalid_argument);  // of the second group, when the first has its rate
  CHECK(optimizer.lrs == before);
  CHECK(falls.state() == state);
  CHECK(falls.steps() == 1);

  auto follows = fg::schedule(optimizer, Falling{});
  follows.step(0.125);
  const std::vector<double> then = optimizer.lrs;
  const fg::ScheduleState fed = follows.state();
  CHECK_THROWS_AS(follows.step(0.5), std::invalid_argument);
  CHECK(optimizer.lrs == then);
  CHECK(follows.state() == fed);
}

TEST_CASE("a rate that the optimizer refuses leaves the momenta, too, as they were") {
  StrictMomentumRates optimizer{{{{2.0, 1.0}}}};
  auto heavier = fg::schedule(optimizer, Heavier{});
  heavier.step();
  REQUIRE(optimizer.momenta == std::vector<double>{0.125, 0.125});
  CHECK_THROWS_AS(heavier.step(), std::invalid_argument);  // of the second group, when the first has its momentum
  CHECK(optimizer.momenta == std::vector<double>{0.125, 0.125});
  CHECK(optimizer.lrs == std::vector<double>{1.0, 0.5});
}

TEST_CASE("a rate that the optimizer refuses of a later part of a chain leaves all parts as they were") {
  const auto falls = [](std::int64_t step) { return 1.0 - 0.75 * static_cast<double>(step); };
  const auto stays_as_it_was = [](const auto& schedule, int steps) {
    StrictMomentumRates optimizer{{{{2.0, 1.0}}}};
    auto driven = fg::schedule(optimizer, schedule);
    for (int step = 0; step < steps; ++step) driven.step();
    const StrictMomentumRates before = optimizer;
    const fg::ScheduleState state = driven.state();
    CHECK_THROWS_AS(driven.step(), std::invalid_argument);
    CHECK(optimizer.lrs == before.lrs);
    CHECK(optimizer.momenta == before.momenta);
    CHECK(driven.state() == state);
    CHECK(driven.steps() == steps);
  };
  const fg::ChainedScheduler chain{fg::ExponentialLR{.gamma = 0.5}, fg::LambdaLR{falls}};
  stays_as_it_was(chain, 1);
  stays_as_it_was(fg::ChainedScheduler{fg::OneCycleLR{.max_lr = 1.0, .total_steps = 8}, fg::LambdaLR{falls}}, 1);
  stays_as_it_was(fg::ChainedScheduler{fg::StepLR{}, chain}, 1);
  const fg::ChainedScheduler first{fg::ExponentialLR{.gamma = 0.5}};  // has gone its step then
  stays_as_it_was(fg::ChainedScheduler{first, fg::LambdaLR{falls}}, 1);
  // as a sequence reaches the chain: its first part sets its first rate, the second refuses its own
  StrictMomentumRates optimizer{{{{2.0, 1.0}}}};
  auto reached = std::make_shared<bool>(false);
  const auto refused_then = [=](std::int64_t) { return *reached ? -1.0 : 1.0; };
  const fg::ChainedScheduler second{fg::ConstantLR{.factor = 0.25}, fg::LambdaLR{refused_then}};
  auto sequence = fg::schedule(optimizer, fg::SequentialLR{{1}, fg::ConstantLR{.factor = 0.5}, second});
  *reached = true;
  const std::vector<double> lrs = optimizer.lrs;
  const fg::ScheduleState state = sequence.state();
  CHECK_THROWS_AS(sequence.step(), std::invalid_argument);
  CHECK(optimizer.lrs == lrs);
  CHECK(sequence.state() == state);
}
