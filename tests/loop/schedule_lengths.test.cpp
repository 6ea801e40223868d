// SPDX-License-Identifier: MIT
#include <fulgurite/loop/schedule_lengths.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>

#include "support/notices.hpp"
#include "support/toy.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using toy::counting;

namespace {

const auto one = [](std::int64_t) -> std::int64_t { return 1; };

template <class Schedule, class Interval>
struct Scheduled : toy::Model {
  Schedule schedule;
  Interval interval;

  Scheduled(Schedule given, Interval every) : schedule(given), interval(every) {}
  auto configure_optimizers() { return fg::optimizer(toy::MomentumSgd{{&weight}}).lr_scheduler(schedule, interval); }
};

/// What a fit on 6 batches says.
template <class Schedule, class Interval, class... Policies>
std::string said(Schedule schedule, Interval interval, Policies... policies) {
  const support::Notices notices;
  Scheduled<Schedule, Interval> model(schedule, interval);
  fg::Trainer trainer{model, policies...};
  try {
    trainer.fit(counting(6));
  } catch (const std::out_of_range&) {  // what was foretold
    CHECK_THAT(notices.text(), ContainsSubstring("throws std::out_of_range"));
  }
  return notices.text();
}

fg::OneCycleLR cycle(std::int64_t steps) { return {.max_lr = 0.1, .total_steps = steps}; }

}  // namespace

TEST_CASE("advances are counted as the intervals say, over windows, epochs and a limit of steps") {
  using fg::detail::planned_advances;
  CHECK(planned_advances({.end_epoch = 3, .batches = 10}, one, fg::EveryStep{}) == 30);
  CHECK(planned_advances({.end_epoch = 3, .batches = 10}, one, fg::EveryStep{.frequency = 4}) == 6);
  CHECK(planned_advances({.end_epoch = 3, .batches = 10}, one, fg::EveryEpoch{}) == 3);
  CHECK(planned_advances({.first_epoch = 1, .end_epoch = 5, .batches = 10}, one, fg::EveryEpoch{.frequency = 2}) == 2);
  const auto four = [](std::int64_t) -> std::int64_t { return 4; };
  CHECK(planned_advances({.end_epoch = 2, .batches = 10}, four, fg::EveryStep{}) == 6);
  CHECK(planned_advances({.end_epoch = 2, .batches = 10}, four, fg::EveryBatch{.frequency = 4}) == 4);
  const auto growing = [](std::int64_t epoch) { return epoch + 1; };
  CHECK(planned_advances({.end_epoch = 3, .batches = 6}, growing, fg::EveryStep{}) == 6 + 3 + 2);
  CHECK(planned_advances({.batches = 10, .steps = 25}, one, fg::EveryStep{}) == 25);
  CHECK(planned_advances({.batches = 10, .steps = 25}, one, fg::EveryEpoch{}) == 2);
  CHECK(planned_advances({.end_epoch = 2, .batches = 10, .steps = 25}, one, fg::EveryStep{}) == 20);
  CHECK(planned_advances({.batches = 12, .steps = 25}, one, fg::EveryStep{}) == 25);
  CHECK(planned_advances({.batches = 10, .steps = 20}, one, fg::EveryEpoch{}) == 2);
  const auto none = [](std::int64_t) -> std::int64_t { return 0; };
  CHECK(planned_advances({.end_epoch = 2, .batches = 3}, none, fg::EveryStep{}) == 6);  // each batch closes such a window
}

namespace {

/// An interval of the program's own, which does what another one does and counts how often it is asked.
template <class Interval>
struct Asked {
  Interval interval;
  std::int64_t* times;

  bool due_after_step(const fg::SchedulePoint& point) const { return ++*times, interval.due_after_step(point); }
  bool due_after_epoch(const fg::SchedulePoint& point) const { return ++*times, interval.due_after_epoch(point); }
};
template <class Interval>
Asked(Interval, std::int64_t*) -> Asked<Interval>;

}  // namespace

TEST_CASE("the library's intervals are counted without a walk over the steps, to the same number") {
  using fg::detail::planned_advances;
  std::int64_t asked = 0, differ = 0;
  for (std::int64_t batches = 1; batches <= 13; ++batches) {
    for (std::int64_t size = 1; size <= 6; ++size) {
      for (std::int64_t frequency = 1; frequency <= 7; ++frequency) {
        for (std::int64_t steps = 1; steps <= 30; ++steps) {
          const fg::detail::FitPlan plan{.first_epoch = 1, .end_epoch = 4, .batches = batches, .steps = steps};
          const auto window = [&](std::int64_t) { return size; };
          const auto same = [&](auto interval) {
            differ += planned_advances(plan, window, interval) != planned_advances(plan, window, Asked{interval, &asked});
          };
          same(fg::EveryStep{frequency});
          same(fg::EveryBatch{frequency});
          same(fg::EveryEpoch{frequency});
        }
      }
    }
  }
  CHECK(differ == 0);
  CHECK(asked > 0);

  constexpr std::int64_t most = 1'000'000'000'000'000;
  const auto three = [](std::int64_t) -> std::int64_t { return 3; };
  CHECK(planned_advances({.end_epoch = 2, .batches = most}, one, fg::EveryStep{}) == 2 * most);
  CHECK(planned_advances({.end_epoch = 2, .batches = most}, three, fg::EveryBatch{.frequency = 2}) == 2 * (most / 6 + 1));
  CHECK(planned_advances({.end_epoch = 2, .batches = most}, one, fg::EveryEpoch{}) == 2);
  CHECK(planned_advances({.batches = most, .steps = most / 2}, one, fg::EveryStep{.frequency = 5}) == most / 10);
}

namespace {

/// An interval of the program's own that depends on the epoch: due after every step of every other epoch.
struct EveryOtherEpochsSteps {
  bool due_after_step(const fg::SchedulePoint& point) const { return point.epoch % 2 == 1; }
  bool due_after_epoch(const fg::SchedulePoint&) const { return false; }
};

}  // namespace

TEST_CASE("an interval of the program's own may depend on the epoch") {
  using fg::detail::planned_advances;
  CHECK(planned_advances({.end_epoch = 5, .batches = 4}, one, EveryOtherEpochsSteps{}) == 8);
  CHECK(planned_advances({.first_epoch = 1, .end_epoch = 3, .batches = 4}, one, EveryOtherEpochsSteps{}) == 4);
  CHECK(planned_advances({.batches = 4, .steps = 18}, one, EveryOtherEpochsSteps{}) == 8);
  CHECK(said(cycle(12), EveryOtherEpochsSteps{}, fg::MaxEpochs{4}) == "");
  CHECK_THAT(said(cycle(6), EveryOtherEpochsSteps{}, fg::MaxEpochs{4}),
             ContainsSubstring("has 6 steps, and this fit advances it 12 times"));
}

TEST_CASE("what would take long to count is not known") {
  using fg::detail::planned_advances;
  std::int64_t asked = 0;
  CHECK(planned_advances({.end_epoch = 2, .batches = 1'000'000'000}, one, Asked{fg::EveryStep{}, &asked}) == std::nullopt);
  CHECK(planned_advances({.end_epoch = 1'000'000'000, .batches = 2}, one, Asked{fg::EveryStep{}, &asked}) == std::nullopt);
  CHECK(planned_advances({.batches = 2, .steps = 1'000'000'000'000}, one, Asked{fg::EveryEpoch{}, &asked}) == std::nullopt);
  CHECK(asked < 10'000'000);
  constexpr std::int64_t most = fg::detail::most_planned;
  CHECK(planned_advances({.end_epoch = 1, .batches = most}, one, Asked{fg::EveryStep{}, &asked}) == most);
  CHECK(planned_advances({.end_epoch = 1, .batches = most + 1}, one, Asked{fg::EveryStep{}, &asked}) == std::nullopt);
  CHECK(planned_advances({.first_epoch = most / 2, .end_epoch = most / 2 + 2, .batches = 1}, one, fg::EveryStep{}) == 2);
  CHECK(planned_advances({.end_epoch = 1'000'000'000'000, .batches = 2}, one, fg::EveryStep{}) == std::nullopt);
  // Windows of another length in each epoch.
  const auto changing = [](std::int64_t epoch) { return 1 + epoch % 2; };
  CHECK(planned_advances({.end_epoch = 1'000'000, .batches = 100'000}, changing, Asked{fg::EveryStep{}, &asked}) == std::nullopt);
  CHECK(asked < 10'000'000);
}

TEST_CASE("a OneCycleLR that is as long as the fit needs no word") {
  CHECK(said(cycle(12), fg::EveryStep{}, fg::MaxEpochs{2}) == "");
  CHECK(said(cycle(4), fg::EveryStep{}, fg::Accumulate<3>{}, fg::MaxEpochs{2}) == "");
  CHECK(said(cycle(9), fg::EveryStep{}, fg::MaxSteps{9}) == "");
  CHECK(said(cycle(2), fg::EveryEpoch{}, fg::MaxEpochs{2}) == "");
  CHECK(said(cycle(13), fg::EveryStep{}, fg::MaxEpochs{2}) == "");  // its last value is that of the step before the last
}

TEST_CASE("a OneCycleLR that the fit advances by epochs names the interval that is meant") {
  CHECK_THAT(
      said(cycle(12), fg::EveryEpoch{}, fg::MaxEpochs{2}),
      ContainsSubstring("fulgurite: OneCycleLR{") &&
          ContainsSubstring(
              "} has 12 steps, and this fit advances it 2 times, once per epoch at most: it does not come to its end. If "
              "optimizer steps are meant, attach it by .lr_scheduler(schedule, fg::EveryStep{})\n"));
}

TEST_CASE("a OneCycleLR that is longer or shorter than the fit says by how much") {
  CHECK_THAT(said(cycle(100), fg::EveryStep{}, fg::MaxEpochs{2}),
             ContainsSubstring(
                 "has 100 steps, and this fit advances it 12 times: it does not come to its end. Give it the steps of the "
                 "whole training, or train longer\n"));
  CHECK_THAT(said(cycle(100), fg::EveryStep{}, fg::Accumulate<4>{}, fg::MaxEpochs{2}), ContainsSubstring("advances it 4 times"));
  CHECK_THAT(said(cycle(100), fg::EveryStep{}, fg::MaxSteps{9}), ContainsSubstring("advances it 9 times"));
  CHECK_THAT(said(cycle(14), fg::EveryStep{}, fg::MaxEpochs{2}), ContainsSubstring("advances it 12 times"));
  CHECK_THAT(said(cycle(9), fg::EveryStep{}, fg::MaxEpochs{3}, fg::LimitBatches{.train = fg::Batches{1}}),
             ContainsSubstring("advances it 3 times"));
  CHECK_THAT(said(cycle(5), fg::EveryStep{}, fg::MaxEpochs{2}),
             ContainsSubstring(
                 "has 5 steps, and this fit advances it 12 times: it throws std::out_of_range after 5. Give it the steps of "
                 "the whole training, or end the fit before\n"));
}

TEST_CASE("of other schedules it is mentioned only if epochs are taken for steps") {
  CHECK_THAT(said(fg::LinearWarmup{.steps = 500}, fg::EveryEpoch{}, fg::MaxEpochs{2}), ContainsSubstring("LinearWarmup{"));
  CHECK_THAT(said(fg::CosineAnnealingLR{.t_max = 12}, fg::EveryEpoch{}, fg::MaxEpochs{2}), ContainsSubstring("fg::EveryStep{}"));
  CHECK_THAT(said(fg::LinearWarmup{.steps = 500}, fg::EveryEpoch{.frequency = 2}, fg::MaxEpochs{2}),
             ContainsSubstring("advances it 1 times, once per epoch at most"));
  CHECK(said(fg::LinearWarmup{.steps = 5}, fg::EveryStep{}, fg::MaxEpochs{2}) == "");
  CHECK(said(fg::LinearWarmup{.steps = 1}, fg::EveryEpoch{}, fg::MaxEpochs{5}) == "");
  CHECK(said(fg::CosineAnnealingLR{.t_max = 2}, fg::EveryEpoch{}, fg::MaxEpochs{2}) == "");
  CHECK(said(fg::CosineAnnealingLR{.t_max = 100}, fg::EveryStep{}, fg::MaxEpochs{2}) == "");
  CHECK(said(fg::StepLR{.step_size = 30}, fg::EveryEpoch{}, fg::MaxEpochs{2}) == "");
}

namespace {

struct TwoCycles : toy::Pair {
  auto training_step(double batch, auto& /*step*/, auto optimizer) {
    return toy::Loss{optimizer == 0 ? &weight : &second, batch};
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::MomentumSgd{{&weight}}).lr_scheduler(cycle(12), fg::EveryStep{}),
                          fg::optimizer(toy::MomentumSgd{{&second}}).lr_scheduler(cycle(12), fg::EveryStep{}));
  }
};

}  // namespace

TEST_CASE("optimizers share a limit of steps, however high") {
  const auto said_with = [](std::int64_t steps) {
    const support::Notices notices;
    TwoCycles model;
    fg::Trainer trainer{model, fg::MaxEpochs{2}, fg::MaxSteps{steps}};
    trainer.fit(counting(6));
    return notices.text();
  };
  CHECK(said_with(24) == "");
  CHECK(said_with(23) == "");
  CHECK_THAT(said_with(13), ContainsSubstring("advances it 7 times"));
  CHECK(said_with(std::numeric_limits<std::int64_t>::max()) == "");
}

TEST_CASE("where the end is not known, nothing is said") {
  const support::Notices notices;
  Scheduled model(cycle(12), fg::EveryStep{});
  fg::Trainer trainer{model, fg::FastDevRun{}};
  trainer.fit(counting(6));
  CHECK(notices.all.empty());
}

namespace {

/// Leaves its schedule alone from its first batch on.
struct Suspending : Scheduled<fg::OneCycleLR, fg::EveryStep> {
  using Scheduled::Scheduled;
  void on_train_batch_start(double, auto& step) { step.suspend_schedules(); }
};
/// Ends the fit after its first batch.
struct Stopping : Scheduled<fg::OneCycleLR, fg::EveryStep> {
  using Scheduled::Scheduled;
  void on_train_batch_start(double, auto& step) { step.stop(); }
};

}  // namespace

TEST_CASE("what a schedule has advanced before counts, and what is left of the limits") {
  Scheduled model(cycle(12), fg::EveryStep{});
  fg::Trainer trainer{model, fg::MaxSteps{6}};
  {
    const support::Notices notices;
    trainer.fit(counting(6));
    CHECK_THAT(notices.text(), ContainsSubstring("has 12 steps, and this fit advances it 6 times"));
  }
  const support::Notices notices;
  trainer.set_limit(fg::MaxSteps{12});
  trainer.fit(counting(6));
  CHECK(notices.all.empty());
}

TEST_CASE("nothing is said of a schedule that stands still, nor where nothing is trained, nor of what would take long to count") {
  Suspending suspending(cycle(100), fg::EveryStep{});
  fg::Trainer trainer{suspending, fg::MaxEpochs{1}};
  {
    const support::Notices first;
    trainer.fit(counting(6));
    CHECK(first.all.size() == 1);
  }
  const support::Notices notices;
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(counting(6));
  CHECK(notices.all.empty());
  CHECK(said(cycle(12), fg::EveryStep{}, fg::MaxEpochs{2}, fg::LimitBatches{.train = fg::Batches{0}}) ==
        "fulgurite: fit trains nothing, since fg::LimitBatches takes no batch of the training range\n");
  Stopping stopping(cycle(12), fg::EveryStep{});
  fg::Trainer{stopping, fg::MaxEpochs{1'000'000'000}}.fit(counting(6));
  CHECK(notices.all.empty());
}
