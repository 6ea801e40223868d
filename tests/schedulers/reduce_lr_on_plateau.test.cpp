// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/reduce_lr_on_plateau.hpp>

#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <sstream>
#include <vector>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

namespace {
template <class Schedule>
std::vector<double> rates(const Schedule& given, const std::vector<double>& metrics) {
  toy::Rates optimizer;
  auto schedule = fg::schedule(optimizer, given);
  std::vector<double> seen{optimizer.lr(0)};
  for (const double metric : metrics) {
    schedule.step(metric);
    seen.push_back(optimizer.lr(0));
  }
  return seen;
}
}  // namespace

TEST_CASE("the rate drops when the metric gets no better, then waits, and stops at its floor") {
  const fg::ReduceLROnPlateau<"val_loss"> schedule{.factor = 0.5, .patience = 1, .threshold = 0.1, .cooldown = 1, .min_lr = 0.2};
  // ReduceLROnPlateau(optimizer, "min", 0.5, 1, 0.1, "rel", 1, 0.2) from 1.0
  CHECK(rates(schedule, {1.0, 0.95, 0.94, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5}) ==
        std::vector<double>{1.0, 1.0, 1.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2});
  toy::check_resumes(schedule, 20);
}

TEST_CASE("greater may be better, by a difference") {
  const fg::ReduceLROnPlateau<"accuracy"> schedule{.mode = fg::MetricMode::max,
                                         .factor = 0.5,
                                         .patience = 0,
                                         .threshold = 0.1,
                                         .threshold_mode = fg::ThresholdMode::absolute};
  // ReduceLROnPlateau(optimizer, "max", 0.5, 0, 0.1, "abs") from 1.0
  CHECK(rates(schedule, {1.0, 1.05, 1.2, 1.25, 0.0}) ==
        std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.25, 0.125});
  CHECK(schedule.monitor() == "accuracy");
}

TEST_CASE("an equal value is not better, also without a threshold and where the best value is 0") {
  for (const auto mode : {fg::MetricMode::min, fg::MetricMode::max}) {
    for (const auto measured : {fg::ThresholdMode::relative, fg::ThresholdMode::absolute}) {
      const fg::ReduceLROnPlateau<"loss"> schedule{
          .mode = mode, .factor = 0.5, .patience = 0, .threshold = 0.0, .threshold_mode = measured};
      CHECK(rates(schedule, {0.0, 0.0, 0.0}) == std::vector<double>{1.0, 1.0, 0.5, 0.25});
      CHECK(rates(schedule, {3.0, 3.0}) == std::vector<double>{1.0, 1.0, 0.5});
    }
  }
}

TEST_CASE("a value is better by a part of the best one, or by a difference") {
  const auto second_is_better = [](fg::MetricMode mode, fg::ThresholdMode measured, double threshold, double best,
                                   double value) {
    const fg::ReduceLROnPlateau<"loss"> schedule{
        .mode = mode, .factor = 0.5, .patience = 0, .threshold = threshold, .threshold_mode = measured};
    return rates(schedule, {best, value}).back() == 1.0;
  };
  using enum fg::ThresholdMode;
  CHECK_FALSE(second_is_better(fg::MetricMode::min, relative, 0.5, 4.0, 2.0));
  CHECK(second_is_better(fg::MetricMode::min, relative, 0.5, 4.0, 1.9));
  CHECK_FALSE(second_is_better(fg::MetricMode::min, absolute, 0.5, 4.0, 3.5));
  CHECK(second_is_better(fg::MetricMode::min, absolute, 0.5, 4.0, 3.4));
  CHECK_FALSE(second_is_better(fg::MetricMode::max, relative, 0.5, 2.0, 3.0));
  CHECK(second_is_better(fg::MetricMode::max, relative, 0.5, 2.0, 3.1));
  CHECK_FALSE(second_is_better(fg::MetricMode::max, absolute, 0.5, 2.0, 2.5));
  CHECK(second_is_better(fg::MetricMode::max, absolute, 0.5, 2.0, 2.6));
}

TEST_CASE("a better value begins the count of the others anew") {
  CHECK(rates(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 1}, {2.0, 2.0, 1.0, 1.0, 1.0}) ==
        std::vector<double>{1.0, 1.0, 1.0, 1.0, 1.0, 0.5});
}

TEST_CASE("after a drop, as many values pass as the cooldown says") {
  // ReduceLROnPlateau(optimizer, "min", 0.5, 0, cooldown=2) from 1.0
  CHECK(rates(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0, .cooldown = 2}, {1.0, 1.0, 1.0, 1.0, 1.0}) ==
        std::vector<double>{1.0, 1.0, 0.5, 0.5, 0.5, 0.25});
}

TEST_CASE("a state that was loaded has seen no value, and lowers nothing until it does") {
  const fg::ReduceLROnPlateau<"loss"> schedule{.patience = 0};
  CHECK(fg::ReduceLROnPlateauState{} == fg::ReduceLROnPlateauState{.best = 0.0, .num_bad_epochs = 0, .cooldown_counter = 0, .lowers = false});
  auto state = schedule.start();
  schedule.advance(state, std::numeric_limits<double>::quiet_NaN());
  CHECK(schedule.lr(state, {1, 1.0, 1.0}) == 0.1);
  fg::ScheduleState saved;
  schedule.save(state, saved);
  schedule.load(state, saved);
  CHECK(schedule.lr(state, {1, 1.0, 1.0}) == 1.0);
}

TEST_CASE("a plateau is printed as it is written") {
  std::ostringstream out;
  out << fg::ReduceLROnPlateau<"loss">{} << ' '
      << fg::ReduceLROnPlateau<"loss">{
             .mode = fg::MetricMode::max, .threshold_mode = fg::ThresholdMode::absolute, .min_lr = {0.1, 0.2}};
  CHECK(out.str() ==
        "ReduceLROnPlateau<\"loss\">{.mode = min, .factor = 0.1, .patience = 10, .threshold = 0.0001, .threshold_mode = relative, "
        ".cooldown = 0, .min_lr = 0, .eps = 1e-08} "
        "ReduceLROnPlateau<\"loss\">{.mode = max, .factor = 0.1, .patience = 10, .threshold = 0.0001, .threshold_mode = absolute, "
        ".cooldown = 0, .min_lr = {0.1, 0.2}, .eps = 1e-08}");
}

TEST_CASE("NaN is not better, a drop of eps or less is left out, and groups have floors of their own") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(rates(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0}, {nan, nan}) == std::vector<double>{1.0, 0.5, 0.25});
  CHECK(rates(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0, .eps = 0.5}, {nan, nan}) == std::vector<double>{1.0, 1.0, 1.0});
  toy::Rates optimizer{{1.0, 1.0}};
  auto schedule = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{.patience = 0, .min_lr = {0.5, 0.25}});
  schedule.step(nan);
  CHECK(optimizer.lrs == std::vector<double>{0.5, 0.25});
}

TEST_CASE("what it has seen is saved under PyTorch's names") {
  toy::Rates optimizer;
  auto schedule = fg::schedule(optimizer, fg::ReduceLROnPlateau<"loss">{.patience = 0, .cooldown = 3});
  schedule.step(2.0);
  schedule.step(2.0);
  const fg::ScheduleState saved = schedule.state();
  CHECK(saved.number("best") == 2.0);
  CHECK(saved.number("num_bad_epochs") == 0.0);
  CHECK(saved.number("cooldown_counter") == 3.0);
  CHECK(saved.number("last_epoch") == 2.0);
  CHECK(saved.list("_last_lr") == std::vector<double>{0.1});
}

TEST_CASE("invalid options are refused") {
  using Loss = fg::ReduceLROnPlateau<"loss">;
  CHECK(Loss{}.problem() == nullptr);
  CHECK(support::problem_of(Loss{.factor = 1.0}) == "ReduceLROnPlateau.factor must be 0 or more and below 1");
  CHECK(support::problem_of(Loss{.factor = -0.1}) == "ReduceLROnPlateau.factor must be 0 or more and below 1");
  CHECK(support::problem_of(Loss{.patience = -1}) == "ReduceLROnPlateau.patience and cooldown must be 0 or more");
  CHECK(support::problem_of(Loss{.threshold = -1.0}) == "ReduceLROnPlateau.threshold and eps must be 0 or more");
  CHECK(support::problem_of(Loss{.cooldown = -1}) == "ReduceLROnPlateau.patience and cooldown must be 0 or more");
  CHECK(support::problem_of(Loss{.min_lr = -1.0}) == "ReduceLROnPlateau.min_lr must be 0 or more");
  CHECK(support::problem_of(Loss{.eps = -1.0}) == "ReduceLROnPlateau.threshold and eps must be 0 or more");
  CHECK(Loss{.factor = 0.0, .patience = 0, .threshold = 0.0, .cooldown = 0, .eps = 0.0}.problem() == nullptr);
}
