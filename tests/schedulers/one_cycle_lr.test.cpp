// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/one_cycle_lr.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cmath>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <vector>

#include "support/problems.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;

TEST_CASE("rate and momentum go one cycle, and no further") {
  const fg::OneCycleLR schedule{.max_lr = 1.0, .total_steps = 10};
  // OneCycleLR(optimizer, 1.0, 10)
  const std::vector<double> rates{0.04, 0.52, 1, 0.950484632, 0.8117456539, 0.6112620219, 0.3887419781, 0.1882583461, 0.04951936799, 4e-06};
  const std::vector<double> momenta{0.95, 0.9, 0.85, 0.8549515566, 0.8688255099, 0.8888739533, 0.9111260467, 0.9311744901, 0.9450484434, 0.95};
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    CHECK(schedule.lr({step, 0.0, 0.0}) == Catch::Approx(rates[i]));
    CHECK(*schedule.momentum({step, 0.0, 0.0}) == Catch::Approx(momenta[i]));
  }
  CHECK_THROWS_AS(schedule.lr({11, 0.0, 0.0}), std::out_of_range);
  toy::check_resumes(schedule, 10);
}

TEST_CASE("three phases, along straight lines") {
  const fg::OneCycleLR schedule{
      .max_lr = 1.0, .total_steps = 10, .rising = 0.4, .anneal = fg::Anneal::linear, .three_phase = true};
  // OneCycleLR(optimizer, 1.0, 10, pct_start=0.4, anneal_strategy="linear", three_phase=True)
  toy::check_same(toy::rates(schedule, 9),
      {0.04, 0.35999999999999993, 0.6799999999999999, 1.0, 0.68, 0.3600000000000001, 0.040000000000000036,
       0.026668, 0.013336, 3.9999999999970615e-06});
  const std::vector<double> momenta
      {0.95, 0.9166666666666666, 0.8833333333333333, 0.85, 0.8833333333333333, 0.9166666666666666, 0.95, 0.95,
       0.95, 0.95};
  for (std::size_t i = 0; i < momenta.size(); ++i) {
    CHECK(std::abs(*schedule.momentum({static_cast<std::int64_t>(i), 0.0, 0.0}) - momenta[i]) < 1e-12);
  }
}

TEST_CASE("after the last step of the training, straight lines stay at their end") {
  const fg::OneCycleLR schedule{.max_lr = 1.0, .total_steps = 10, .anneal = fg::Anneal::linear};
  CHECK(schedule.lr({10, 0.0, 0.0}) == schedule.lr({9, 0.0, 0.0}));  // -1/7 in PyTorch
  CHECK(schedule.momentum({10, 0.0, 0.0}) == schedule.momentum({9, 0.0, 0.0}));
}

TEST_CASE("the whole cycle may rise or fall, and a phase may be over at its last step") {
  // OneCycleLR(optimizer, 1.0, 5, pct_start=1.0), then 0.0
  toy::check_same(toy::rates(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .rising = 1.0}, 4),
      {0.04, 0.1805887450304573, 0.52, 0.8594112549695427, 1.0});
  toy::check_same(toy::rates(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .rising = 0.0}, 4),
      {0.904508879153485, 0.654509879153485, 0.3454941208465151, 0.09549512084651508, 4e-06});
  // OneCycleLR(optimizer, 1.0, 5, pct_start=0.6, anneal_strategy="linear", three_phase=True)
  const fg::OneCycleLR no_third_phase{
      .max_lr = 1.0, .total_steps = 5, .rising = 0.6, .anneal = fg::Anneal::linear, .three_phase = true};
  toy::check_same(toy::rates(no_third_phase, 4), {0.04, 0.52, 1.0, 0.52, 0.04});
}

TEST_CASE("its length may be epochs times steps, its values may differ by group, the momentum may be left alone") {
  toy::MomentumRates optimizer{{{0.5, 0.5}}};
  auto schedule = fg::schedule(
      optimizer, fg::OneCycleLR{.max_lr = {1.0, 2.0}, .epochs = 5, .steps_per_epoch = 2, .momentum_range = std::nullopt});
  toy::check_same(optimizer.lrs, {0.04, 0.08});
  toy::check_same(schedule.state().list("base_lrs"), {0.04, 0.08});
  for (int step = 0; step < 9; ++step) schedule.step();
  CHECK(optimizer.lrs[1] == Catch::Approx(8e-6));
  CHECK(optimizer.momenta == std::vector<double>{0.9, 0.9});
}

TEST_CASE("a cycle is printed as it is written") {
  std::ostringstream out;
  out << fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5} << ' ' << fg::Anneal::linear;
  CHECK(out.str() == "OneCycleLR{.max_lr = 1, .total_steps = 5, .rising = 0.3, .div_factor = 25, .final_div_factor = 10000, "
                     ".anneal = cosine, .three_phase = 0} linear");
}

TEST_CASE("a leg without length is over at once") {
  const fg::OneCycleLR schedule{.max_lr = 1.0, .total_steps = 5, .rising = 0.2};  // PyTorch divides by zero here
  CHECK(schedule.lr({0, 0.0, 0.0}) == 1.0);
}

TEST_CASE("a cycle without length, peak or momentum to drive is refused") {
  toy::MomentumRates optimizer;
  CHECK_THROWS_WITH(fg::schedule(optimizer, fg::OneCycleLR{.max_lr = 1.0}),
                    "fulgurite: OneCycleLR needs its length: set total_steps to the optimizer steps of the whole training, "
                    "or epochs and steps_per_epoch");
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .epochs = 5}.problem() != nullptr);
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .total_steps = -5}.problem() != nullptr);
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .epochs = -1}.problem() != nullptr);
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .steps_per_epoch = -1}.problem() != nullptr);
  CHECK(support::problem_of(fg::OneCycleLR{.total_steps = 5}) == "OneCycleLR.max_lr must be above 0");
  CHECK(support::problem_of(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .rising = 1.1}) ==
        "OneCycleLR.rising must be in [0, 1]: the part of the cycle that rises");
  CHECK(support::problem_of(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .rising = -0.1}) ==
        "OneCycleLR.rising must be in [0, 1]: the part of the cycle that rises");
  CHECK(support::problem_of(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .div_factor = 0.0}) ==
        "OneCycleLR.div_factor and final_div_factor must be above 0");
  CHECK(support::problem_of(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .final_div_factor = 0.0}) ==
        "OneCycleLR.div_factor and final_div_factor must be above 0");
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .rising = 1.0}.problem() == nullptr);
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5, .div_factor = 0.5, .final_div_factor = 0.5}.problem() == nullptr);
  CHECK(fg::OneCycleLR{.max_lr = 1.0, .epochs = 5, .steps_per_epoch = 1}.problem() == nullptr);
  toy::Rates without_momentum;
  CHECK_THROWS_WITH(fg::schedule(without_momentum, fg::OneCycleLR{.max_lr = 1.0, .total_steps = 5}),
                    "fulgurite: this schedule drives the momentum, but the optimizer has none: set .momentum_range = "
                    "std::nullopt, or use an optimizer with momentum");
}
