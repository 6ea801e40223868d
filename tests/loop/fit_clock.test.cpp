// SPDX-License-Identifier: MIT
#include <fulgurite/loop/fit_clock.hpp>

#include <catch2/catch_test_macros.hpp>

#include <string>

namespace {

using fulgurite::detail::FitClock;

/// A checkpoint of one number.
template <bool Loads>
struct Seconds {
  static constexpr bool loads = Loads;
  double seconds = 0.0;
  void operator()(const std::string&, double& value) { Loads ? value = seconds : seconds = value; }
};

/// Lets the clock tick.
void wait_beyond(const FitClock& clock, double seconds) {
  while (clock.elapsed().count() <= seconds) {
  }
}

TEST_CASE("a clock runs only during fits, and goes on from a checkpoint's time") {
  FitClock clock;
  CHECK(!clock.runs());
  CHECK(clock.elapsed().count() == 0.0);
  Seconds<true> loaded{100.0};
  clock.state(loaded);
  REQUIRE(clock.elapsed().count() == 100.0);
  {
    const auto running = clock.run();
    CHECK(clock.runs());
    wait_beyond(clock, 100.0);
  }
  const auto after = clock.elapsed();
  CHECK(!clock.runs());
  CHECK(after.count() > 100.0);  // the fit's time is kept
  CHECK(clock.elapsed() == after);
  clock.reset();
  CHECK(clock.elapsed().count() == 0.0);
}

TEST_CASE("a checkpoint keeps the time of the fit in which it is saved, and of those before") {
  FitClock clock;
  Seconds<false> within, after;
  {
    const auto running = clock.run();
    wait_beyond(clock, 0.0);
    clock.state(within);
  }
  clock.state(after);
  CHECK(within.seconds > 0.0);
  CHECK(after.seconds >= within.seconds);
}

}  // namespace
