// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/chained_scheduler.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cstdint>
#include <sstream>
#include <vector>

#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("all advance together, each on what the one before it wrote") {
  const fg::ChainedScheduler schedule{fg::LinearLR{.start_factor = 0.1, .steps = 3},
                                      fg::StepLR{.step_size = 2, .gamma = 0.5},
                                      fg::CosineAnnealingLR{.t_max = 5, .min_lr = 0.01}};
  // ChainedScheduler([LinearLR(optimizer, 0.1, 1, 3), StepLR(optimizer, 2, 0.5),
  //                   CosineAnnealingLR(optimizer, 5, 0.01)]) from 1.0
  toy::check_same(toy::rates(schedule, 7),
      {0.1, 0.36275831390311475, 0.23244651616803794, 0.1800072999367332, 0.03211246500644665, 0.01,
       0.09953658778440101, 0.3339464178406517});
  toy::check_resumes(schedule);
}

TEST_CASE("all start from the optimizer's own rate, whatever the first of them wrote") {
  const auto half = [](std::int64_t) { return 0.5; };
  CHECK(toy::rates(fg::ChainedScheduler(fg::ConstantLR{.factor = 0.25}, fg::LambdaLR(half)), 1) ==
        std::vector<double>{0.5, 0.5});
}

TEST_CASE("a chain is a value with a printed form") {
  const fg::ChainedScheduler schedule{fg::StepLR{}, fg::ExponentialLR{.gamma = 0.5}};
  CHECK(schedule == fg::ChainedScheduler{fg::StepLR{}, fg::ExponentialLR{.gamma = 0.5}});
  std::ostringstream out;
  out << schedule;
  CHECK(out.str() == "ChainedScheduler{StepLR{.step_size = 1, .gamma = 0.1}, ExponentialLR{.gamma = 0.5}}");
}
