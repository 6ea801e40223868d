// SPDX-License-Identifier: MIT
#include <fulgurite/loop/attached_schedule.hpp>

#include <boost/hana/at.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

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
  auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::CosineAnnealingLR{.t_max = 5}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{});
  configured.attach_schedules();
  auto& cosine = boost::hana::at_c<0>(configured.schedules());
  auto& plateau = boost::hana::at_c<1>(configured.schedules());
  cosine.advance(configured.optimizer());
  plateau.advance(configured.optimizer(), 2.0);
  CHECK(cosine.last_lr() == configured.optimizer().lr(0));

  auto other = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::CosineAnnealingLR{.t_max = 5}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{});
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
                          .lr_scheduler(fg::StepLR{.step_size = step_size}, fg::EveryEpoch{.frequency = frequency});
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
  CHECK(attached(saved).state().number("EveryEpoch.frequency") == 3.0);
}

TEST_CASE("a schedule is not loaded that had another interval: of another class, or of another frequency unless that is taken over") {
  toy::Weight weight;
  const auto make = [&](auto... interval) {
    auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = 5}, interval...);
    configured.attach_schedules();
    return configured;
  };
  const auto attached = [](auto& configured) -> auto& { return boost::hana::at_c<0>(configured.schedules()); };
  auto by_step = make(fg::EveryStep{.frequency = 2}), by_third_step = make(fg::EveryStep{.frequency = 3});
  auto by_batch = make(fg::EveryBatch{});
  auto by_epoch = make(fg::EveryEpoch{});
  auto by_trainers = make();
  attached(by_step).advance(by_step.optimizer());
  const fg::ScheduleState saved = attached(by_step).state();
  const auto refuses = [&](auto& configured, const fg::ScheduleState& state, const std::string& sentence) {
    const fg::ScheduleState before = attached(configured).state();
    CHECK_THROWS_WITH(attached(configured).load_state(state), sentence);
    CHECK_THROWS_WITH(attached(configured).take_over(state), sentence);
    CHECK(attached(configured).state() == before);
  };
  const auto had = [](const std::string& interval) {
    return "fulgurite: the schedule advanced by fg::" + interval + " of its own when it was saved, and does not now: give "
           ".lr_scheduler(schedule, interval) the interval that it had";
  };
  refuses(by_trainers, saved, had("EveryStep"));
  refuses(by_batch, saved, had("EveryStep"));
  refuses(by_step, attached(by_batch).state(), had("EveryBatch"));
  refuses(by_step, attached(by_epoch).state(), had("EveryEpoch"));
  CHECK_THROWS_WITH(
      attached(by_third_step).load_state(saved),
      Catch::Matchers::StartsWith("fulgurite: EveryStep.frequency is 2 in the saved state and 3 in the schedule"));
  CHECK(attached(by_third_step).steps() == 0);
  attached(by_third_step).take_over(saved);
  CHECK(attached(by_third_step).steps() == 1);
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
    auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{.step_size = step_size}, interval);
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
  auto configured = fg::optimizer(CautiousSgd{{&weight}}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 0});
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

TEST_CASE("a metric whose step was made is taken, also if what came after it failed") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{});
  configured.attach_schedules();
  auto& plateau = boost::hana::at_c<0>(configured.schedules());
  fg::Metrics metrics;
  metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training);
  const auto feed = [&] {
    plateau.feed(metrics, false, [&](const auto& metric) {
      plateau.advance(configured.optimizer(), *metric);
      throw std::runtime_error("after the step");
    });
  };
  CHECK_THROWS_AS(feed(), std::runtime_error);
  CHECK_NOTHROW(feed());  // nothing new
  CHECK(plateau.steps() == 1);
}

TEST_CASE("which value of its metric a schedule has taken is loaded or taken over; without a word of it none has been") {
  toy::Weight weight;
  fg::Metrics metrics;
  metrics.log("loss", 1.0, 1.0, fg::on_epoch, fg::Stage::training);
  int fed = 0;
  const auto feed = [&](auto& configured) {
    auto& plateau = boost::hana::at_c<0>(configured.schedules());
    plateau.feed(metrics, false, [&](const auto& metric) {
      ++fed;
      plateau.advance(configured.optimizer(), *metric);
    });
  };
  const auto make = [&] {
    auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::ReduceLROnPlateau<"loss">{});
    configured.attach_schedules();
    return configured;
  };
  auto first = make();
  feed(first);
  REQUIRE(fed == 1);
  const fg::ScheduleState saved = boost::hana::at_c<0>(first.schedules()).state();
  fg::ScheduleState without;
  for (const auto& [name, values] : saved.entries()) {
    if (name != "metric_call") without.set(name, values);
  }
  for (const bool takes_over : {false, true}) {
    auto other = make();
    auto& plateau = boost::hana::at_c<0>(other.schedules());
    const auto load = [&](const fg::ScheduleState& state) { takes_over ? plateau.take_over(state) : plateau.load_state(state); };
    fed = 0;
    load(saved);
    feed(other);
    CHECK(fed == 0);
    load(without);
    feed(other);
    CHECK(fed == 1);
  }
}

namespace {

/// A schedule of the program's own that is made of another, and cannot take values over.
struct Wrapped {
  fg::StepLR part;
  class Running;
};
class Wrapped::Running {
 public:
  explicit Running(Wrapped schedule) : schedule_(schedule), part_(schedule.part) {}
  void attach(auto& optimizer, std::vector<double>& initial_lrs) { part_.attach(optimizer, initial_lrs); }
  void advance(auto& optimizer) { part_.advance(optimizer); }
  fg::ScheduleState state() const { return part_.state(); }
  void load_state(const fg::ScheduleState& saved) { part_.load_state(saved); }
  std::int64_t steps() const { return part_.steps(); }
  double last_lr(std::int64_t group) const { return part_.last_lr(group); }
  const Wrapped& schedule() const { return schedule_; }

 private:
  Wrapped schedule_;
  fg::RunningSchedule<fg::StepLR> part_;
};
/// One that follows a metric, and does not say what is to be done without it.
struct FollowsLoss {
  struct State {};
  static constexpr const char* monitor() { return "loss"; }
  State start() const { return {}; }
  void advance(State&, double) const {}
  double lr(const State&, const fg::RatePoint& at) const { return at.current; }
  void save(const State&, fg::ScheduleState&) const {}
  void load(State&, const fg::ScheduleState&) const {}
};

}  // namespace

TEST_CASE("a schedule of the program's own that cannot take values over is loaded, with the frequency that it had") {
  toy::Weight weight;
  const auto make = [&](std::int64_t frequency) {
    auto configured = fg::optimizer(toy::Sgd{&weight})
                          .lr_scheduler(Wrapped{{.step_size = 2}}, fg::EveryStep{.frequency = frequency});
    configured.attach_schedules();
    return configured;
  };
  auto first = make(3), other = make(4);
  auto& saved = boost::hana::at_c<0>(first.schedules());
  auto& taken = boost::hana::at_c<0>(other.schedules());
  saved.advance(first.optimizer());
  taken.take_over(saved.state());
  CHECK(taken.state() == saved.state());
  CHECK(taken.steps() == 1);
}

TEST_CASE("a schedule that does not say what to do without its metric is strict") {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::Sgd{&weight}).lr_scheduler(FollowsLoss{});
  configured.attach_schedules();
  const auto& schedule = boost::hana::at_c<0>(configured.schedules());
  CHECK_THROWS_AS(schedule.metric(fg::Metrics(), false), std::invalid_argument);
}
