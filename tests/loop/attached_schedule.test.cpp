// SPDX-License-Identifier: MIT
#include <fulgurite/loop/attached_schedule.hpp>

#include <boost/hana/at.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <cstdint>
#include <stdexcept>

#include "support/toy.hpp"

namespace fg = fulgurite;

namespace {

/// Refuses a rate below 0.25.
struct CautiousSgd : toy::Sgd {
  void set_lr(std::int64_t group, double lr) {
    if (lr < 0.25) throw std::invalid_argument("too slow");
    Sgd::set_lr(group, lr);
  }
};

}  // namespace

TEST_CASE("a schedule's state is saved and loaded") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::Sgd{&weight}).with(fg::CosineAnnealing{.period = 5}).with(fg::Plateau<"loss">{});
  configured.attach_schedules();
  auto& cosine = boost::hana::at_c<0>(configured.schedules());
  auto& plateau = boost::hana::at_c<1>(configured.schedules());
  cosine.advance(configured.optimizer());
  plateau.advance(configured.optimizer(), 2.0);
  CHECK(cosine.last_lr() == configured.optimizer().lr(0));

  auto other = fg::optimizer(toy::Sgd{&weight}).with(fg::CosineAnnealing{.period = 5}).with(fg::Plateau<"loss">{});
  other.attach_schedules();
  auto& other_cosine = boost::hana::at_c<0>(other.schedules());
  auto& other_plateau = boost::hana::at_c<1>(other.schedules());
  other_cosine.load_state(cosine.state());
  other_plateau.load_state(plateau.state());
  CHECK(other_cosine.state() == cosine.state());
  CHECK(other_cosine.steps() == 1);
  CHECK(other_plateau.state().number("best") == 2.0);
  CHECK_THROWS_AS(other_plateau.load_state(cosine.state()), std::invalid_argument);
}

TEST_CASE("an interval of its own is saved beside the schedule, and loaded or taken over with it") {
  toy::Weight weight;
  const auto make = [&](std::int64_t step_size, std::int64_t frequency) {
    auto configured = fg::optimizer(toy::Sgd{&weight})
                          .with(fg::StepDecay{.step_size = step_size}, fg::EveryEpoch{.frequency = frequency});
    configured.attach_schedules();
    return configured;
  };
  auto saved = make(5, 3), same = make(5, 3), other = make(7, 4);
  const auto attached = [](auto& configured) -> auto& { return boost::hana::at_c<0>(configured.schedules()); };
  attached(saved).advance(saved.optimizer());
  attached(same).load_state(attached(saved).state());
  attached(other).take_over(attached(saved).state());
  CHECK(attached(same).state() == attached(saved).state());
  CHECK(attached(other).state() == attached(saved).state());
  CHECK(attached(other).schedule().step_size == 5);
}

namespace {

/// An interval of the program's own, whose frequency is part of its type.
template <std::int64_t Frequency>
struct ConstantFrequency {
  static constexpr std::int64_t frequency = Frequency;
  bool due_after_step(const fg::SchedulePoint& point) const { return point.steps % frequency == 0; }
  bool due_after_epoch(const fg::SchedulePoint&) const { return false; }
  static void for_each_field(auto& interval, auto&& f) { f("ConstantFrequency.frequency", interval.frequency); }
};

}  // namespace

TEST_CASE("a value that is a constant is not taken over: it must be the saved one") {
  toy::Weight weight;
  const auto make = [&](std::int64_t step_size, auto interval) {
    auto configured = fg::optimizer(toy::Sgd{&weight}).with(fg::StepDecay{.step_size = step_size}, interval);
    configured.attach_schedules();
    return configured;
  };
  auto saved = make(5, ConstantFrequency<3>{}), same = make(7, ConstantFrequency<3>{});
  auto other = make(7, ConstantFrequency<4>{});
  const auto attached = [](auto& configured) -> auto& { return boost::hana::at_c<0>(configured.schedules()); };
  attached(saved).advance(saved.optimizer());
  attached(same).take_over(attached(saved).state());
  CHECK(attached(same).state() == attached(saved).state());
  const auto before = attached(other).state();
  CHECK_THROWS_WITH(attached(other).take_over(attached(saved).state()),
                    "fulgurite: ConstantFrequency.frequency is 3 in the saved state and 4 here, where it is a constant: use "
                    "a type with the saved value");
  CHECK(attached(other).state() == before);
}

TEST_CASE("a metric whose step was refused is not counted as taken") {
  toy::Weight weight;
  auto configured = fg::optimizer(CautiousSgd{{&weight}}).with(fg::Plateau<"loss">{.factor = 0.5, .patience = 0});
  configured.attach_schedules();
  auto& plateau = boost::hana::at_c<0>(configured.schedules());
  fg::Metrics metrics;
  [[maybe_unused]] fg::LogPlace place;
  int fed = 0;
  const auto log = [&] { metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training, place); };
  const auto feed = [&] {
    plateau.feed(metrics, false, [&](const auto& metric) {
      ++fed;
      plateau.advance(configured.optimizer(), *metric);
    });
  };
  for (int step = 0; step < 3; ++step) {
    log();
    feed();
    feed();  // nothing new
  }
  REQUIRE(fed == 3);
  REQUIRE(configured.optimizer().rate == 0.25);
  log();
  const fg::ScheduleState before = plateau.state();
  CHECK_THROWS_AS(feed(), std::invalid_argument);
  CHECK(plateau.state() == before);
  CHECK_THROWS_AS(feed(), std::invalid_argument);
  CHECK(fed == 5);
}
