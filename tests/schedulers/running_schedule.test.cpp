// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/running_schedule.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("several schedules on one optimizer start from the same rates, and act in order") {
  toy::MomentumRates optimizer;
  std::vector<double> initial_lrs;
  fg::RunningSchedule<fg::ConstantLR> first(fg::ConstantLR{.factor = 0.5, .steps = 2});
  fg::RunningSchedule<fg::CosineAnnealingWarmRestarts> second(fg::CosineAnnealingWarmRestarts{.period = 4});
  first.attach(optimizer, initial_lrs);
  second.attach(optimizer, initial_lrs);
  CHECK(optimizer.lr(0) == 1.0);  // the second overwrites, and its base is not what the first wrote
  first.advance(optimizer);
  CHECK(first.last_lr() == 1.0);
  second.advance(optimizer);
  CHECK(second.last_lr() == optimizer.lr(0));
  CHECK(second.steps() == 1);
}

// As in PyTorch, whose CyclicLR computes its step 0 with the optimizer's initial rate, and all others with its base_lr.
TEST_CASE("a schedule that sets the rate before it starts gives it to those after it only if it is the first") {
  const fg::CyclicLR cyclic{.base_lr = 0.25, .max_lr = 0.5};
  for (const bool is_first : {true, false}) {
    toy::MomentumRates optimizer;
    std::vector<double> initial_lrs;
    fg::RunningSchedule<fg::StepLR> before(fg::StepLR{});
    if (!is_first) before.attach(optimizer, initial_lrs);
    fg::RunningSchedule<fg::CyclicLR> running(cyclic);
    running.attach(optimizer, initial_lrs);
    CHECK(optimizer.lr(0) == (is_first ? 0.25 : 1.0));
    CHECK(running.last_lr() == optimizer.lr(0));
    CHECK(initial_lrs[0] == (is_first ? 0.25 : 1.0));
  }
}

TEST_CASE("a state of another kind or of other groups is refused and changes nothing") {
  toy::MomentumRates optimizer;
  toy::MomentumRates other{{{1.0, 2.0}}};
  auto decay = fg::schedule(optimizer, fg::StepLR{});
  auto plateau = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{});
  auto wide = fg::schedule(other, fg::StepLR{});
  const auto before = decay.state();
  CHECK_THROWS_AS(plateau.load_state(decay.state()), std::invalid_argument);
  CHECK_THROWS_WITH(decay.load_state(wide.state()),
                    "fulgurite: this schedule state is of an optimizer with 2 parameter groups, but this one has 1");
  CHECK(decay.state() == before);
  auto chain = fg::schedule(optimizer, fg::ChainedScheduler{fg::StepLR{}, fg::StepLR{}});
  auto short_chain = fg::schedule(optimizer, fg::ChainedScheduler{fg::StepLR{}});
  short_chain.step();
  const auto chained = chain.state();
  CHECK_THROWS_AS(chain.load_state(short_chain.state()), std::invalid_argument);
  CHECK(chain.state() == chained);
  short_chain.step();
  const auto of_one = short_chain.state();
  CHECK_THROWS_AS(short_chain.load_state(chained), std::invalid_argument);
  CHECK(short_chain.state() == of_one);
  auto exponential = fg::schedule(optimizer, fg::ExponentialLR{.gamma = 0.5});
  CHECK_THROWS_WITH(exponential.load_state(decay.state()),
                    "fulgurite: this schedule state has \"StepLR.step_size\", which the schedule has not: it was saved by "
                    "another kind of schedule");
  CHECK_THROWS_AS(exponential.take_over(decay.state()), std::invalid_argument);
  auto lambda = fg::schedule(optimizer, fg::LambdaLR{[](std::int64_t) { return 1.0; }});
  CHECK_THROWS_AS(lambda.load_state(decay.state()), std::invalid_argument);
  auto with_another_value = plateau.state();
  with_another_value.set("last_epoch", 5.0);
  with_another_value.set("StepLR.gamma", 0.1);
  CHECK_THROWS_WITH(plateau.load_state(with_another_value),
                    "fulgurite: this schedule state has \"StepLR.gamma\", which the schedule has not: it was saved by "
                    "another kind of schedule");
  CHECK(plateau.steps() == 0);
}

TEST_CASE("values for another number of groups are not taken over, and nothing changes then") {
  toy::MomentumRates optimizer;
  const auto refused = [](auto& schedule, const std::string& name) {
    const auto before = schedule.state();
    auto saved = before;
    saved.set("last_epoch", 3.0);
    saved.set(name, {0.25, 0.5});
    CHECK_THROWS_WITH(schedule.take_over(saved),
                      "fulgurite: " + name +
                          " has 2 values, but the optimizer has 1 parameter groups: give one number for all, or one for "
                          "each");
    CHECK(schedule.state() == before);
  };
  auto cycle = fg::schedule(optimizer, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 9});
  refused(cycle, "OneCycleLR.max_lr");
  auto plateau = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{});
  refused(plateau, "ReduceLROnPlateau.min_lr");
}

TEST_CASE("a state of an optimizer with other groups is not taken over, and every part keeps its own values") {
  const auto sequence = [](double factor, std::int64_t period) {
    return fg::SequentialLR(
        {4}, fg::ChainedScheduler{fg::ConstantLR{.factor = factor}, fg::ExponentialLR{.gamma = factor}},
        fg::ChainedScheduler{fg::CosineAnnealingLR{.t_max = period}});
  };
  toy::MomentumRates optimizer, wide{{{1.0, 2.0}}};
  auto saved = fg::schedule(wide, sequence(0.5, 7));
  saved.step();
  auto resumed = fg::schedule(optimizer, sequence(0.25, 8));
  const auto before = resumed.state();
  CHECK_THROWS_WITH(resumed.take_over(saved.state()),
                    "fulgurite: this schedule state is of an optimizer with 2 parameter groups, but this one has 1");
  CHECK(resumed.state() == before);
  CHECK(resumed.schedule() == sequence(0.25, 8));
}

TEST_CASE("a state as PyTorch saves it, without the momenta that it began with and with other numbers, is taken") {
  toy::MomentumRates optimizer;
  auto schedule = fg::schedule(optimizer, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 9});
  const auto before = schedule.state();
  schedule.step();
  fg::ScheduleState saved;
  for (const auto& entry : before.entries()) {
    if (entry.name != "base_momenta") saved.set(entry.name, entry.values);
  }
  saved.set("_step_count", 1.0);  // and with numbers of PyTorch's
  schedule.load_state(saved);
  CHECK(schedule.state() == before);
}

namespace {

/// A schedule of the program's own that drives the momentum from where it was.
struct Cooling {
  double lr(const fg::RatePoint& point) const { return point.base; }
  std::optional<double> momentum(const fg::RatePoint& point) const { return point.base / static_cast<double>(1 + point.step); }
};

}  // namespace

TEST_CASE("a schedule goes on from the momentum that it began with") {
  toy::MomentumRates optimizer, fresh;
  fresh.momenta = {0.5};
  auto saved = fg::schedule(optimizer, Cooling{});
  saved.step();
  auto resumed = fg::schedule(fresh, Cooling{});
  resumed.load_state(saved.state());
  resumed.step();
  CHECK(fresh.momenta == std::vector<double>{0.3});
}

namespace {

/// Whether a state that was saved by `saved` is refused by `other`, which differs in `name` only; and taken over.
template <class Schedule>
void check_values(const Schedule& saved, const Schedule& other, const std::string& name) {
  INFO(name);
  const auto advance = [](auto& schedule, int step) {
    if constexpr (fg::MetricScheduler<Schedule>) {
      schedule.step(1.0 + step);
    } else {
      schedule.step();
    }
  };
  toy::MomentumRates straight{{{0.5, 0.25}}}, resumed{{{0.5, 0.25}}};
  auto first = fg::schedule(straight, saved);
  for (int step = 0; step < 3; ++step) advance(first, step);
  auto second = fg::schedule(resumed, other);
  const auto before = second.state();
  CHECK_THROWS_WITH(second.load_state(first.state()), Catch::Matchers::ContainsSubstring("fulgurite: " + name + " is ") &&
                                                          Catch::Matchers::ContainsSubstring("in the saved state and "));
  CHECK(second.state() == before);
  second.take_over(first.state());
  resumed = straight;
  CHECK(second.state() == first.state());
  for (int step = 3; step < 9; ++step) {
    advance(first, step);
    advance(second, step);
    CHECK(resumed.lrs == straight.lrs);
    CHECK(resumed.momenta == straight.momenta);
  }
}

/// The state as an earlier version saved it: without values.
fg::ScheduleState without_values(const fg::ScheduleState& state) {
  fg::ScheduleState old;
  for (const auto& entry : state.entries()) {
    const bool is_value = entry.name.find('.') != std::string::npos && !entry.name.ends_with("last_epoch") &&
                          !entry.name.ends_with("_lrs") && !entry.name.ends_with("_last_lr");
    if (!is_value) old.set(entry.name, entry.values);
  }
  return old;
}

}  // namespace

TEST_CASE("a state that was saved with another value of the schedule is refused by name, or its values are taken over") {
  check_values(fg::StepLR{.step_size = 2}, fg::StepLR{.step_size = 3}, "StepLR.step_size");
  check_values(fg::StepLR{.gamma = 0.5}, fg::StepLR{.gamma = 0.25}, "StepLR.gamma");
  check_values(fg::MultiStepLR{.milestones = {2, 4}}, fg::MultiStepLR{.milestones = {4}}, "MultiStepLR.milestones");
  check_values(fg::ExponentialLR{.gamma = 0.5}, fg::ExponentialLR{.gamma = 0.25}, "ExponentialLR.gamma");
  check_values(fg::ConstantLR{.factor = 0.5}, fg::ConstantLR{.factor = 0.25}, "ConstantLR.factor");
  check_values(fg::LinearLR{.steps = 4}, fg::LinearLR{.steps = 6}, "LinearLR.steps");
  check_values(fg::LinearWarmup{.steps = 4}, fg::LinearWarmup{.steps = 6}, "LinearWarmup.steps");
  check_values(fg::PolynomialLR{.power = 2.0}, fg::PolynomialLR{.power = 1.0}, "PolynomialLR.power");
  check_values(fg::CosineAnnealingLR{.t_max = 7}, fg::CosineAnnealingLR{.t_max = 8}, "CosineAnnealingLR.t_max");
  check_values(fg::CosineAnnealingWarmRestarts{.period = 3, .multiplier = 2}, fg::CosineAnnealingWarmRestarts{.period = 3},
               "CosineAnnealingWarmRestarts.multiplier");
  check_values(fg::SWALR{.target = {0.1, 0.2}}, fg::SWALR{.target = 0.1}, "SWALR.target");
  check_values(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 20}, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 30},
               "OneCycleLR.total_steps");
  check_values(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 20, .momentum_range = fg::MomentumRange{.base = {0.5, 0.6}}},
               fg::OneCycleLR{.max_lr = 1.0, .total_steps = 20}, "OneCycleLR.momentum_range");
  check_values(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 20, .momentum_range = std::nullopt},
               fg::OneCycleLR{.max_lr = 1.0, .total_steps = 20}, "OneCycleLR.momentum_range");
  const fg::CyclicLR cyclic{.base_lr = 0.1, .max_lr = 1.0, .steps_up = 2};
  fg::CyclicLR other = cyclic;
  other.steps_down = 5;
  check_values(cyclic, other, "CyclicLR.steps_down");
  check_values(other, cyclic, "CyclicLR.steps_down");
  const double height = 0.5;
  const auto function = [height](std::int64_t) { return height; };
  check_values(cyclic.scaled_by(function), other.scaled_by(function), "CyclicLR.steps_down");
  check_values(fg::ReduceLROnPlateau<"loss">{.patience = 1}, fg::ReduceLROnPlateau<"loss">{.patience = 2}, "ReduceLROnPlateau.patience");
}

TEST_CASE("other values of the parts of a chain or sequence, and other milestones, are refused or taken over") {
  const auto chain = [](double gamma) {
    return fg::ChainedScheduler{fg::ConstantLR{.factor = 0.5}, fg::ExponentialLR{.gamma = gamma}};
  };
  check_values(chain(0.5), chain(0.25), "ExponentialLR.gamma");
  const double factor = 0.5;
  const auto sequence = [factor](std::int64_t milestone, std::int64_t period) {
    return fg::SequentialLR({milestone}, fg::LambdaLR{[factor](std::int64_t) { return factor; }},
                                  fg::CosineAnnealingLR{.t_max = period});
  };
  const auto straight = sequence(5, 7), later = sequence(6, 7), longer = sequence(5, 8);
  toy::MomentumRates optimizer, fresh;
  auto saved = fg::schedule(optimizer, straight);
  for (int step = 0; step < 6; ++step) saved.step();
  const auto refused = [&](const auto& schedule, const char* name) {
    toy::MomentumRates rates;
    auto resumed = fg::schedule(rates, schedule);
    const auto before = resumed.state();
    CHECK_THROWS_WITH(resumed.load_state(saved.state()), Catch::Matchers::ContainsSubstring(name));
    CHECK(resumed.state() == before);
    resumed.take_over(saved.state());
    CHECK(resumed.state() == saved.state());
    CHECK(resumed.schedule().milestones()[0] == 5);
    CHECK(std::get<1>(resumed.schedule().schedules()).t_max == 7);
  };
  refused(later, "SequentialLR.milestones is 5 in the saved state and 6");
  refused(longer, "CosineAnnealingLR.t_max is 7 in the saved state and 8");
}

TEST_CASE("a state of an earlier version, without values, is taken as it is; an invalid value is not") {
  toy::MomentumRates optimizer, other;
  auto saved = fg::schedule(optimizer, fg::ChainedScheduler{fg::StepLR{.step_size = 2}, fg::CosineAnnealingLR{.t_max = 9}});
  saved.step();
  auto old = without_values(saved.state());
  CHECK_FALSE(old == saved.state());
  old.nest("_schedulers.0.", without_values(saved.state().part("_schedulers.0.")));
  old.nest("_schedulers.1.", without_values(saved.state().part("_schedulers.1.")));
  auto resumed = fg::schedule(other, fg::ChainedScheduler{fg::StepLR{.step_size = 3}, fg::CosineAnnealingLR{.t_max = 9}});
  resumed.load_state(old);
  CHECK(resumed.steps() == 1);
  resumed.take_over(old);
  CHECK(std::get<0>(resumed.schedule().schedules()).step_size == 3);

  auto decay = fg::schedule(other, fg::StepLR{});
  auto broken = decay.state();
  broken.set("StepLR.step_size", 0.0);
  const auto before = decay.state();
  CHECK_THROWS_WITH(decay.take_over(broken), Catch::Matchers::ContainsSubstring("StepLR.step_size must be 1 or more"));
  broken.set("StepLR.step_size", std::vector<double>{1.0, 2.0});
  CHECK_THROWS_WITH(decay.take_over(broken), Catch::Matchers::ContainsSubstring("StepLR.step_size in the saved state is of another kind"));
  CHECK(decay.state() == before);
}
