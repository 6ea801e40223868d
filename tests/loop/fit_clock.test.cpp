// SPDX-License-Identifier: MIT
#include <fulgurite/loop/fit_clock.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

using fulgurite::detail::FitClock;

struct Numbers {
  static constexpr bool loads = true;
  double seconds;
  void operator()(const std::string&, double& value) const { value = seconds; }
};

TEST_CASE("a clock stands still but for the fits, and goes on from a checkpoint's time") {
  FitClock clock;
  CHECK(!clock.runs());
  CHECK(clock.elapsed().count() == 0.0);
  Numbers numbers{100.0};
  clock.state(numbers);
  CHECK(clock.elapsed().count() == 100.0);
  {
    const auto running = clock.run();
    CHECK(clock.runs());
    CHECK(clock.elapsed().count() >= 100.0);
  }
  const auto after = clock.elapsed();
  CHECK(!clock.runs());
  CHECK(clock.elapsed() == after);
  clock.reset();
  CHECK(clock.elapsed().count() == 0.0);
}

}  // namespace
