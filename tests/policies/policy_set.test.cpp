// SPDX-License-Identifier: MIT
#include <fulgurite/policies/policy_set.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <sstream>
#include <stdexcept>

namespace fg = fulgurite;

namespace {

/// A place that says what is wrong with it.
struct NoDevice {
  using slot = fg::slots::Device;
  fg::DevicePlace place() const { return {}; }
  const char* problem() const { return "NoDevice is nowhere"; }
};
/// A non-finite policy that says what is wrong with it.
struct Indifferent {
  using slot = fg::slots::NonFinite;
  [[maybe_unused]] static constexpr bool checks = true;
  fg::NonFiniteAction on_non_finite(const fg::NonFiniteReport&) const { return fg::NonFiniteAction::ignore; }
  const char* problem() const { return "Indifferent does not care"; }
};

template <class... Values>
void make(const Values&... values) {
  static_cast<void>(fg::detail::policies_of<Values...>(values...));
}

}  // namespace

TEST_CASE("the policy of each slot is asked whether its values make sense") {
  CHECK_NOTHROW(make());
  CHECK_THROWS_WITH(make(fg::AccumulateSchedule{}),
                    "fulgurite: AccumulateSchedule has no stages: give at least one {.from_epoch, .batches}");
  CHECK_THROWS_WITH(make(fg::ClipValue{.max = 0.0}),
                    "fulgurite: ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK_THROWS_WITH(make(fg::EveryStep{0}), "fulgurite: EveryStep.frequency must be 1 or more");
  CHECK_THROWS_WITH(make(fg::Float16Mixed{.growth_interval = 0}),
                    "fulgurite: a loss scale needs a growth_interval of 1 or more");
  CHECK_THROWS_WITH(make(NoDevice{}), "fulgurite: NoDevice is nowhere");
  CHECK_THROWS_WITH(make(fg::Frozen{.tapes = 0}), "fulgurite: Frozen.tapes must be 1 or more");
  CHECK_THROWS_WITH(make(Indifferent{}), "fulgurite: Indifferent does not care");
}

TEST_CASE("the interval of schedules may be replaced") {
  auto policies = fg::detail::policies_of<fg::EveryStep>(fg::EveryStep{2});
  CHECK(policies.scheduler_interval() == fg::EveryStep{2});
  policies.set_scheduler_interval(fg::EveryStep{3});
  CHECK(policies.scheduler_interval() == fg::EveryStep{3});
}

TEST_CASE("of several wrong values the first is named, in the order of the slots") {
  CHECK_THROWS_WITH(make(Indifferent{}, fg::Frozen{.tapes = 0}), "fulgurite: Frozen.tapes must be 1 or more");
  CHECK_THROWS_WITH(make(fg::Frozen{.tapes = 0}, NoDevice{}), "fulgurite: NoDevice is nowhere");
  CHECK_THROWS_WITH(make(NoDevice{}, fg::Float16Mixed{.growth_interval = 0}),
                    "fulgurite: a loss scale needs a growth_interval of 1 or more");
  CHECK_THROWS_WITH(make(fg::Float16Mixed{.growth_interval = 0}, fg::EveryStep{0}),
                    "fulgurite: EveryStep.frequency must be 1 or more");
  CHECK_THROWS_WITH(make(fg::EveryStep{0}, fg::ClipValue{.max = 0.0}),
                    "fulgurite: ClipValue.max must be above 0; to clip nothing, use fg::NoClipping");
  CHECK_THROWS_WITH(make(fg::ClipValue{.max = 0.0}, fg::AccumulateSchedule{}),
                    "fulgurite: AccumulateSchedule has no stages: give at least one {.from_epoch, .batches}");
}
