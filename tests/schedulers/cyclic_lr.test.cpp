// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/cyclic_lr.hpp>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/schedulers/chained_scheduler.hpp>
#include <fulgurite/schedulers/constant_lr.hpp>
#include <fulgurite/schedulers/sequential_lr.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("cycles that get lower by half, with momentum against them") {
  const fg::CyclicLR schedule{
      .base_lr = 0.1, .max_lr = 0.9, .steps_up = 2, .steps_down = 3, .mode = fg::CycleMode::triangular2};
  // CyclicLR(optimizer, 0.1, 0.9, 2, 3, mode="triangular2")
  toy::check_same(toy::rates(schedule, 11),
      {0.1, 0.4999999999999999, 0.8999999999999998, 0.6333333333333332, 0.3666666666666666, 0.1,
       0.30000000000000016, 0.4999999999999999, 0.3666666666666666, 0.23333333333333348, 0.1,
       0.2000000000000001});
  const std::vector<double> momenta
      {0.9, 0.8500000000000001, 0.8, 0.8333333333333334, 0.8666666666666667, 0.9, 0.875, 0.8500000000000001,
       0.8666666666666667, 0.8833333333333333, 0.9, 0.8875000000000001};
  for (std::size_t i = 0; i < momenta.size(); ++i) {
    CHECK(std::abs(*schedule.momentum({static_cast<std::int64_t>(i), 0.0, 0.0}) - momenta[i]) < 1e-12);
  }
  toy::check_resumes(schedule);
}

TEST_CASE("cycles that get lower in every step") {
  // CyclicLR(optimizer, 0.1, 0.9, 2, mode="exp_range", gamma=0.9)
  toy::check_same(
      toy::rates(fg::CyclicLR{.base_lr = 0.1, .max_lr = 0.9, .steps_up = 2, .mode = fg::CycleMode::exp_range, .gamma = 0.9}, 8),
      {0.1, 0.4600000000000001, 0.7480000000000001, 0.39160000000000006, 0.1, 0.33619600000000005,
       0.5251528000000001, 0.29131876, 0.1});
}

TEST_CASE("a scale function of one's own, by step or by cycle") {
  const fg::CyclicLR cycle{.base_lr = 0.1, .max_lr = 0.9, .steps_up = 2};
  const auto inverse = [](std::int64_t step) { return 1.0 / static_cast<double>(1 + step); };
  // CyclicLR(optimizer, 0.1, 0.9, 2, scale_fn=lambda x: 1 / (1 + x), scale_mode="iterations")
  toy::check_same(toy::rates(cycle.scaled_by(inverse, fg::ScaleBy::step), 8),
      {0.1, 0.30000000000000004, 0.3666666666666667, 0.2, 0.1, 0.16666666666666669, 0.2142857142857143,
       0.15000000000000002, 0.1});
  const double top = 0.1 + 0.8;
  toy::check_same(toy::rates(cycle.scaled_by([](std::int64_t n) { return n == 1 ? 1.0 : 0.0; }), 6),
                  {0.1, 0.5, top, 0.5, 0.1, 0.1, 0.1});
  toy::check_resumes(cycle.scaled_by(inverse));
  std::ostringstream out;
  out << cycle << '|' << cycle.scaled_by(inverse) << '|' << cycle.scaled_by(inverse, fg::ScaleBy::step);
  const std::string text = out.str(), plain = text.substr(0, text.find('|'));
  CHECK(text == plain + '|' + plain + " scaled by cycle|" + plain + " scaled by step");
}

TEST_CASE("cycles are printed as they are written") {
  std::ostringstream out;
  out << fg::CyclicLR{.max_lr = 1.0} << ' ' << fg::CycleMode::triangular2 << ' ' << fg::CycleMode::exp_range;
  CHECK(out.str() == "CyclicLR{.base_lr = 0, .max_lr = 1, .steps_up = 2000, .steps_down = 2000, .mode = triangular, "
                     ".gamma = 1} triangular2 exp_range");
}

TEST_CASE("rates of groups, and no momentum") {
  toy::Rates optimizer{{1.0, 1.0}};
  auto schedule = fg::schedule(
      optimizer, fg::CyclicLR{.base_lr = {0.0, 1.0}, .max_lr = {1.0, 3.0}, .steps_up = 1, .momentum_range = std::nullopt});
  CHECK(optimizer.lrs == std::vector<double>{0.0, 1.0});
  schedule.step();
  CHECK(optimizer.lrs == std::vector<double>{1.0, 3.0});
}

TEST_CASE("invalid cycles are refused") {
  CHECK(support::problem_of(fg::CyclicLR{}) == "CyclicLR.max_lr must be above 0");
  CHECK(fg::CyclicLR{.max_lr = 1.0}.problem() == nullptr);
  CHECK(support::problem_of(fg::CyclicLR{.base_lr = -1.0, .max_lr = 1.0}) == "CyclicLR.base_lr must be 0 or more");
  CHECK(support::problem_of(fg::CyclicLR{.max_lr = 1.0, .steps_up = 0}) == "CyclicLR.steps_up must be 1 or more");
  CHECK(support::problem_of(fg::CyclicLR{.max_lr = 1.0, .steps_down = -1}) ==
        "CyclicLR.steps_down must be 0 or more");
  CHECK(support::problem_of(fg::CyclicLR{.max_lr = 1.0, .gamma = -1.0}) == "CyclicLR.gamma must be 0 or more");
  CHECK(fg::CyclicLR{.max_lr = 1.0, .steps_up = 1, .steps_down = 0, .gamma = 0.0}.problem() == nullptr);
  fg::CyclicLR taken_back{.max_lr = 1.0, .steps_down = -1};
  taken_back.steps_down.reset();
  CHECK(taken_back.problem() == nullptr);
}

TEST_CASE("in a chain, step 0 has the optimizer's initial rate, as in PyTorch; all others are the cycle's") {
  const fg::CyclicLR cycle{.base_lr = 0.1, .max_lr = 0.9, .steps_up = 2, .momentum_range = std::nullopt};
  // ChainedScheduler([ConstantLR(optimizer, 0.5, 2), CyclicLR(optimizer, 0.1, 0.9, 2, cycle_momentum=False)])
  toy::check_same(toy::rates(fg::ChainedScheduler{fg::ConstantLR{.factor = 0.5, .steps = 2}, cycle}, 4),
                  {1.0, 0.5, 0.9, 0.5, 0.1});
  // The cycle first: its base_lr is the initial rate of all.
  toy::check_same(toy::rates(fg::ChainedScheduler{cycle, fg::ConstantLR{.factor = 0.5, .steps = 4}}, 2), {0.05, 0.5, 0.9});
  // SequentialLR([ConstantLR(optimizer, 0.5, 9), CyclicLR(optimizer, 0.1, 0.9, 2, cycle_momentum=False)], [2])
  toy::check_same(toy::rates(fg::SequentialLR({2}, fg::ConstantLR{.factor = 0.5, .steps = 9}, cycle), 4),
                  {0.5, 0.5, 0.1, 0.5, 0.9});
  // And as the first of a sequence, whose parts begin after all were attached.
  toy::check_same(toy::rates(fg::SequentialLR({2}, cycle, fg::ConstantLR{.factor = 0.5, .steps = 9}), 1), {0.1, 0.5});
}
