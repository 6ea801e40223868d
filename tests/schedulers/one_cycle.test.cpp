// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/one_cycle.hpp>

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("rate and momentum go one cycle, and no further") {
  const fg::OneCycle schedule{.max_lr = 1.0, .total_steps = 10};
  const std::vector<double> rates{0.04, 0.52, 1, 0.950484632, 0.8117456539, 0.6112620219, 0.3887419781, 0.1882583461, 0.04951936799, 4e-06};
  const std::vector<double> momenta{0.95, 0.9, 0.85, 0.8549515566, 0.8688255099, 0.8888739533, 0.9111260467, 0.9311744901, 0.9450484434, 0.95};
  for (std::size_t i = 0; i < rates.size(); ++i) {
    const auto step = static_cast<std::int64_t>(i);
    CHECK(schedule.lr({step, 0.0, 0.0}) == Catch::Approx(rates[i]));
    CHECK(*schedule.momentum({step, 0.0, 0.0}) == Catch::Approx(momenta[i]));
  }
  CHECK_THROWS_AS(schedule.lr({11, 0.0, 0.0}), std::out_of_range);
}
