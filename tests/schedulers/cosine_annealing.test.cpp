// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers/cosine_annealing.hpp>

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

TEST_CASE("the rate follows a cosine, also past its period") {
  const fg::CosineAnnealing schedule{.period = 4, .min_lr = 0.01};
  const std::vector<double> expected{1, 0.8550178567, 0.505, 0.1549821433, 0.01, 0.1549821433, 0.505, 0.8550178567, 1, 0.8550178567};
  double rate = 1.0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    rate = schedule.lr({static_cast<std::int64_t>(i), 1.0, rate});
    CHECK(rate == Catch::Approx(expected[i]));
  }
}
