// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/sequential_lr.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <sstream>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("each schedule takes over at its milestone and starts anew") {
  const fg::SequentialLR schedule{{2, 5}, fg::ConstantLR{.factor = 0.1, .steps = 2}, fg::CosineAnnealingLR{.t_max = 4},
                                        fg::MultiplicativeLR{[](std::int64_t) { return 0.9; }}};
  // SequentialLR(optimizer, [ConstantLR(optimizer, 0.1, 2), CosineAnnealingLR(optimizer, 4),
  //                          MultiplicativeLR(optimizer, lambda step: 0.9)], [2, 5]) from 1.0
  toy::check_same(toy::rates(schedule, 8),
      {0.1, 0.1, 1.0, 0.8535533905932737, 0.5, 0.45, 0.405, 0.36450000000000005, 0.32805000000000006});
  toy::check_resumes(schedule);
}

TEST_CASE("a schedule that sets its own initial rate changes where the sequence begins, as in PyTorch") {
  const fg::SequentialLR schedule{{2}, fg::StepLR{.step_size = 100}, fg::OneCycleLR{.max_lr = 0.5, .total_steps = 9}};
  CHECK(toy::rates(schedule, 1) == std::vector<double>{0.02, 0.02});
}

TEST_CASE("sequences of sequences and of chains go on") {
  const fg::SequentialLR inner{{2}, fg::StepLR{.step_size = 1, .gamma = 0.5}, fg::ExponentialLR{.gamma = 0.25}};
  const fg::SequentialLR schedule{{3}, fg::StepLR{.step_size = 100}, inner};  // PyTorch cannot restart a sequence
  CHECK(toy::rates(schedule, 7) == std::vector<double>{1.0, 1.0, 1.0, 1.0, 0.5, 1.0, 0.25, 0.0625});
  toy::check_resumes(schedule);
  const fg::ChainedScheduler chain{fg::ConstantLR{.factor = 0.5, .steps = 9}, fg::ExponentialLR{.gamma = 0.5}};
  CHECK(toy::rates(fg::SequentialLR{{1}, fg::StepLR{}, chain}, 3) == std::vector<double>{1.0, 0.5, 0.25, 0.125});
}

TEST_CASE("a sequence or a chain that takes over starts from the initial rate, whatever the schedule before it left") {
  const fg::StepLR halves{.step_size = 1, .gamma = 0.5}, keeps{.step_size = 100};
  const std::vector<double> expected{1.0, 0.5, 1.0, 1.0};
  CHECK(toy::rates(fg::SequentialLR{{2}, halves, fg::SequentialLR{{9}, keeps, keeps}}, 3) == expected);
  CHECK(toy::rates(fg::SequentialLR{{2}, halves, fg::ChainedScheduler{keeps, keeps}}, 3) == expected);
}

TEST_CASE("a chain or a sequence in front of a sequence begins with a step of its own") {
  const auto falls = [](std::int64_t step) { return 1.0 / static_cast<double>(step + 2); };
  const fg::StepLR keeps{.step_size = 100};
  // SequentialLR(optimizer, [ChainedScheduler([LambdaLR(optimizer, lambda n: 1 / (n + 2))]), StepLR(optimizer, 100)], [9])
  CHECK(toy::rates(fg::SequentialLR{{9}, fg::ChainedScheduler{fg::LambdaLR{falls}}, keeps}, 2) ==
        std::vector<double>{1.0 / 2, 1.0 / 3, 1.0 / 4});
  // SequentialLR(optimizer, [SequentialLR(optimizer, [LambdaLR(..), StepLR(optimizer, 100)], [3]), StepLR(..)], [9])
  CHECK(toy::rates(fg::SequentialLR{{9}, fg::SequentialLR{{3}, fg::LambdaLR{falls}, keeps}, keeps}, 2) ==
        std::vector<double>{1.0 / 2, 1.0 / 3, 1.0});
}

TEST_CASE("a chain in a sequence counts its own steps") {
  toy::Rates optimizer;
  const fg::StepLR decay;
  auto schedule = fg::schedule(optimizer, fg::SequentialLR{{2}, fg::ChainedScheduler{decay}, decay});
  CHECK(schedule.state().number("_schedulers.0.last_epoch") == 0.0);
  schedule.step();
  CHECK(schedule.state().number("_schedulers.0.last_epoch") == 1.0);
}

TEST_CASE("milestones that do not ascend or are negative are refused, as is whatever a part refuses") {
  toy::MomentumRates optimizer;
  const fg::StepLR one;
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::SequentialLR({5, 2}, one, one, one)),
                    "fulgurite: SequentialLR's milestones must ascend");
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::SequentialLR({-1}, one, one)),
                    "fulgurite: SequentialLR's milestones must be 0 or more");
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::SequentialLR({1}, one, fg::StepLR{.step_size = 0})),
                    "fulgurite: StepLR.step_size must be 1 or more");
  CHECK(fg::SequentialLR({0, 0}, one, one, one).problem() == nullptr);
}

TEST_CASE("a sequence is a value with a printed form") {
  const fg::SequentialLR schedule{{5}, fg::StepLR{}, fg::ExponentialLR{.gamma = 0.5}};
  CHECK(schedule == fg::SequentialLR{{5}, fg::StepLR{}, fg::ExponentialLR{.gamma = 0.5}});
  std::ostringstream out;
  out << schedule;
  CHECK(out.str() == "SequentialLR{{5}, StepLR{.step_size = 1, .gamma = 0.1}, ExponentialLR{.gamma = 0.5}}");
}
