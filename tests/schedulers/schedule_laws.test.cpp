// SPDX-License-Identifier: MIT
// Laws of all schedules, alone and as parts of others.
#include <fulgurite/schedulers.hpp>

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <numbers>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/any_schedule.hpp"
#include "support/families.hpp"
#include "support/rates.hpp"

namespace fg = fulgurite;
using toy::AnySchedule;
using Rates = toy::MomentumRates;

namespace {

/// A schedule, and the learning rate that its documentation promises after some steps, from a base rate on.
struct Member {
  std::string header;
  AnySchedule schedule;
  std::function<double(double base, int step)> lr{};  // none: it depends on a metric
  bool starts_where_the_rate_is = false;              // also where a sequence hands over to it
};

double half_cosine(double from, double to, double part) {
  return to + (from - to) * (1.0 + std::cos(std::numbers::pi * part)) / 2.0;
}

std::vector<Member> members() {
  std::vector<Member> all;
  all.push_back({"swa_lr", fg::SWALR{.target = {0.02, 0.3}, .period = 4},
                 [](double base, int n) { return half_cosine(base, 0.02, std::min(n, 4) / 4.0); }, true});
  all.push_back({"swa_lr", fg::SWALR{.target = 0.02, .period = 3, .anneal = fg::Anneal::linear},
                 [](double base, int n) { return base + (0.02 - base) * std::min(n, 3) / 3.0; }, true});
  all.push_back({"swa_lr", fg::SWALR{.target = 0.02, .period = 0}, [](double, int) { return 0.02; }});
  all.push_back({"chained_scheduler",
                 fg::ChainedScheduler{fg::ConstantLR{.factor = 0.1, .steps = 3}, fg::ExponentialLR{.gamma = 0.9}},
                 [](double base, int n) { return base * (n < 3 ? 0.1 : 1.0) * std::pow(0.9, n); }});
  all.push_back({"constant_lr", fg::ConstantLR{.factor = 0.3, .steps = 4},
                 [](double base, int n) { return n < 4 ? base * 0.3 : base; }});
  all.push_back({"cosine_annealing_lr", fg::CosineAnnealingLR{.t_max = 3, .min_lr = 0.01},
                 [](double base, int n) { return half_cosine(base, 0.01, n / 3.0); }});
  all.push_back({"cosine_annealing_lr", fg::CosineAnnealingLR{.t_max = 1, .min_lr = 0.01},
                 [](double base, int n) { return n % 2 == 0 ? base : 0.01; }});
  all.push_back(
      {"cosine_annealing_warm_restarts", fg::CosineAnnealingWarmRestarts{.period = 2, .multiplier = 2, .min_lr = 0.01}, [](double base, int n) {
         const int begin = n < 2 ? 0 : n < 6 ? 2 : 6;  // 2, 4 and 8 steps
         return half_cosine(base, 0.01, (n - begin) / (begin + 2.0));
       }});
  const auto triangle = [](int n) { return n % 5 <= 3 ? (n % 5) / 3.0 : (5 - n % 5) / 2.0; };
  const fg::CyclicLR cyclic{.base_lr = 0.05, .max_lr = 0.5, .steps_up = 3, .steps_down = 2};
  all.push_back({"cyclic_lr", cyclic, [triangle](double, int n) { return 0.05 + 0.45 * triangle(n); }});
  fg::CyclicLR halved = cyclic, decaying = cyclic;
  halved.mode = fg::CycleMode::triangular2;
  decaying.mode = fg::CycleMode::exp_range;
  decaying.gamma = 0.9;
  all.push_back(
      {"cyclic_lr", halved, [triangle](double, int n) { return 0.05 + 0.45 * triangle(n) / std::pow(2.0, n / 5); }});
  all.push_back(
      {"cyclic_lr", decaying, [triangle](double, int n) { return 0.05 + 0.45 * triangle(n) * std::pow(0.9, n); }});
  all.push_back({"cyclic_lr", cyclic.scaled_by([](std::int64_t cycle) { return 1.0 / static_cast<double>(cycle); }),
                 [triangle](double, int n) { return 0.05 + 0.45 * triangle(n) / (n / 5 + 1); }});
  all.push_back(
      {"exponential_lr", fg::ExponentialLR{.gamma = 0.8}, [](double base, int n) { return base * std::pow(0.8, n); }});
  all.push_back({"lambda_lr", fg::LambdaLR{[](std::int64_t n) { return 1.0 / static_cast<double>(n + 2); }},
                 [](double base, int n) { return base / (n + 2); }});
  all.push_back({"linear_lr", fg::LinearLR{.start_factor = 0.25, .end_factor = 0.75, .steps = 5},
                 [](double base, int n) { return base * (0.25 + 0.1 * std::min(n, 5)); }});
  all.push_back({"linear_lr", fg::LinearLR{.start_factor = 0.9, .end_factor = 0.0, .steps = 4},
                 [](double base, int n) { return base * (0.9 - 0.225 * std::min(n, 4)); }});
  all.push_back({"linear_warmup", fg::LinearWarmup{.steps = 4, .start_factor = 0.1},
                 [](double base, int n) { return base * (0.1 + 0.225 * std::min(n, 4)); }});
  all.push_back({"linear_warmup", fg::LinearWarmup{.steps = 3, .start_factor = 0.1}.then(fg::CosineAnnealingLR{.t_max = 9}),
                 [](double base, int n) { return n < 3 ? base * (0.1 + 0.3 * n) : half_cosine(base, 0.0, (n - 3) / 9.0); }});
  all.push_back({"multi_step_lr", fg::MultiStepLR{.milestones = {0, 2, 5, 5}, .gamma = 0.5}, [](double base, int n) {
                   return base * (n < 2 ? 0.5 : n < 5 ? 0.25 : 0.0625);
                 }});
  all.push_back({"multiplicative_lr",
                 fg::MultiplicativeLR{[](std::int64_t n) { return n % 2 == 0 ? 0.5 : 0.8; }},
                 [](double base, int n) { return base * std::pow(0.5, n / 2) * std::pow(0.8, n - n / 2); }, true});
  const auto one_cycle = [](double, int n) {  // the peak is at step 3, the end at 11
    return n <= 3 ? half_cosine(0.02, 0.5, n / 3.0) : half_cosine(0.5, 2e-6, (n - 3) / 8.0);
  };
  const fg::OneCycleLR cycle{.max_lr = 0.5, .total_steps = 12, .rising = 1.0 / 3.0};
  all.push_back({"one_cycle_lr", cycle, one_cycle});
  fg::OneCycleLR line = cycle;
  line.anneal = fg::Anneal::linear;
  all.push_back({"one_cycle_lr", line,
                 [](double, int n) { return n <= 3 ? 0.02 + 0.16 * n : 0.5 + (2e-6 - 0.5) * std::min(n - 3, 8) / 8.0; }});
  all.push_back({"reduce_lr_on_plateau", fg::ReduceLROnPlateau<"loss">{.factor = 0.5, .patience = 1, .cooldown = 1, .min_lr = {0.01, 0.02}}});
  all.push_back({"polynomial_lr", fg::PolynomialLR{.steps = 6, .power = 2.0},
                 [](double base, int n) { return base * std::pow(1.0 - std::min(n, 6) / 6.0, 2.0); }});
  all.push_back({"sequential_lr",
                 fg::SequentialLR{{2, 2, 5},
                                        fg::ExponentialLR{.gamma = 0.5},
                                        fg::StepLR{},
                                        fg::ConstantLR{.factor = 0.1, .steps = 2},
                                        fg::CosineAnnealingLR{.t_max = 9}},
                 [](double base, int n) {
                   if (n < 2) return base * std::pow(0.5, n);
                   return n < 5 ? base * (n < 4 ? 0.1 : 1.0) : half_cosine(base, 0.0, (n - 5) / 9.0);
                 }});
  all.push_back({"step_lr", fg::StepLR{.step_size = 3, .gamma = 0.5},
                 [](double base, int n) { return base * std::pow(0.5, n / 3); }});
  return all;
}

/// Those that may be a part of others.
std::vector<Member> parts() {
  auto all = members();
  std::erase_if(all, [](const Member& member) { return member.schedule.follows_metric(); });
  return all;
}

std::vector<Member> one_of_each(std::vector<Member> all) {
  std::set<std::string> seen;
  std::erase_if(all, [&](const Member& member) { return !seen.insert(member.header).second; });
  return all;
}

constexpr int steps = 12;  // the length of a OneCycleLR

Rates two_groups() {
  return {{{0.1, 0.4}}};
}

bool same(const Rates& a, const Rates& b) {
  return a.lrs == b.lrs && a.momenta == b.momenta;
}

bool close(double a, double b) {
  return std::abs(a - b) <= 1e-12 * std::max(std::abs(a), std::abs(b)) + 1e-15;
}

/// What becomes of the rates, from step 0 on, with the state after each step.
struct Walk {
  std::vector<Rates> rates;
  std::vector<fg::ScheduleState> states;

  Walk(const AnySchedule& schedule, int length, Rates optimizer) {
    auto running = fg::schedule(optimizer, schedule);
    for (int step = 0;; ++step) {
      rates.push_back(optimizer);
      states.push_back(running.state());
      if (step == length) return;
      running.step();
    }
  }
};

/// Saved after any number of steps and loaded into a schedule of other rates, which has gone some steps, it goes on as if it
/// had never stopped.
void check_goes_on(const AnySchedule& schedule, int length) {
  const Walk straight(schedule, length, two_groups());
  for (int stop = 0; stop <= length; ++stop) {
    INFO("stopped after " << stop);
    Rates optimizer{{{0.3, 0.2}}};
    optimizer.momenta = {0.1, 0.2};
    auto resumed = fg::schedule(optimizer, schedule);
    for (int step = 0; step < stop % 3; ++step) resumed.step();
    const auto at = static_cast<std::size_t>(stop);
    resumed.load_state(straight.states[at]);
    optimizer = straight.rates[at];  // the rates are the optimizer's to save
    std::vector<double> last_lrs, expected_last_lrs;
    std::vector<Rates> rates;
    for (std::size_t step = at; step < static_cast<std::size_t>(length); ++step) {
      last_lrs.push_back(resumed.last_lr(1));
      expected_last_lrs.push_back(straight.rates[step].lrs[1]);
      resumed.step();
      rates.push_back(optimizer);
    }
    CHECK(last_lrs == expected_last_lrs);
    CHECK(std::equal(rates.begin(), rates.end(), straight.rates.begin() + stop + 1, straight.rates.end(), same));
    CHECK(resumed.state() == straight.states.back());
    CHECK(resumed.steps() == length);
  }
}

/// Whose state has no names of its own, as the function cannot be saved: it fits to any schedule without values.
bool has_values(const Member& member) {
  return member.header != "lambda_lr" && member.header != "multiplicative_lr";
}

}  // namespace

TEST_CASE("the laws are about all schedules") {
  std::set<std::string> known{"standalone_scheduler",  "momentum_range", "per_group",
                              "running_schedule", "schedule_state"};
  for (const auto& member : members()) known.insert(member.header);
  CHECK(support::headers_in("schedulers") == known);
}

TEST_CASE("every schedule has the rates that it promises, from the first one on") {
  for (const auto& member : parts()) {
    INFO(member.header);
    const Walk walk(member.schedule, steps - 1, two_groups());
    for (std::size_t n = 0; n < walk.rates.size(); ++n) {
      INFO("step " << n << ": " << walk.rates[n].lrs[0]);
      CHECK(close(walk.rates[n].lrs[0], member.lr(0.1, static_cast<int>(n))));
    }
  }
  const Walk plateau(fg::ReduceLROnPlateau<"loss">{}, 0, two_groups());
  CHECK(same(plateau.rates[0], two_groups()));
}

TEST_CASE("every schedule goes on from its saved state as if it had never stopped") {
  for (const auto& member : members()) {
    INFO(member.header);
    check_goes_on(member.schedule, steps);
  }
}

TEST_CASE("every pair of schedules in a sequence and in a chain goes on from its saved state") {
  const auto all = one_of_each(parts());
  for (const auto& first : all) {
    for (const auto& second : all) {
      INFO(first.header << " and " << second.header);
      check_goes_on(fg::SequentialLR{{2}, first.schedule, second.schedule}, 4);
      check_goes_on(fg::ChainedScheduler{first.schedule, second.schedule}, 4);
    }
  }
}

TEST_CASE("every schedule in sequences and chains of sequences and chains goes on from its saved state") {
  const AnySchedule other = fg::ExponentialLR{.gamma = 0.5};
  for (const auto& member : parts()) {
    INFO(member.header);
    const AnySchedule chain = fg::ChainedScheduler{member.schedule, other};
    const AnySchedule sequence = fg::SequentialLR{{1}, other, member.schedule};
    check_goes_on(fg::SequentialLR{{1, 3}, member.schedule, chain, sequence}, 5);
    check_goes_on(fg::ChainedScheduler{sequence, chain}, 5);
  }
}

TEST_CASE("a schedule that takes over in a sequence runs as it would alone") {
  const auto all = parts();
  for (const auto& before : all) {
    for (const auto& member : all) {
      if (member.starts_where_the_rate_is) continue;
      INFO(before.header << ", then " << member.header);
      const Walk sequence(fg::SequentialLR{{3}, before.schedule, member.schedule}, 3 + 6, two_groups());
      Rates initial = two_groups();
      initial.lrs = sequence.states[0].part("_schedulers.1.").list("base_lrs");
      const Walk alone(member.schedule, 6, initial);
      for (std::size_t step = 0; step <= 6; ++step) {
        INFO("step " << step << ": " << sequence.rates[3 + step].lrs[0] << ", alone " << alone.rates[step].lrs[0]);
        CHECK(close(sequence.rates[3 + step].lrs[0], alone.rates[step].lrs[0]));
        CHECK(close(sequence.rates[3 + step].lrs[1], alone.rates[step].lrs[1]));
      }
    }
  }
}

TEST_CASE("two runs of one description know nothing of each other, and a copy of a run goes on by itself") {
  for (const auto& member : members()) {
    INFO(member.header);
    const Walk expected(member.schedule, 8, two_groups());
    Rates a = two_groups(), b = two_groups(), c;
    std::vector<double> of_a, of_b;
    fg::RunningSchedule<AnySchedule> first(member.schedule), second(member.schedule);
    first.attach(a, of_a);
    for (int step = 0; step < 5; ++step) first.advance(a);
    second.attach(b, of_b);
    CHECK(second.state() == expected.states[0]);
    auto copy = first;
    c = a;
    for (int step = 0; step < 3; ++step) {
      second.advance(b);
      first.advance(a);
    }
    CHECK(same(a, expected.rates[8]));
    CHECK(same(b, expected.rates[3]));
    CHECK(copy.state() == expected.states[5]);
    for (int step = 0; step < 3; ++step) copy.advance(c);
    CHECK(same(c, expected.rates[8]));
    CHECK(copy.state() == first.state());
  }
}

TEST_CASE("a run has no steps before it is attached, and begins anew when it is attached again") {
  for (const auto& member : members()) {
    INFO(member.header);
    const Walk expected(member.schedule, 3, two_groups());
    Rates before{{{0.3, 0.2}}}, rates = two_groups();
    before.momenta = {0.1, 0.2};
    std::vector<double> of_before, of_rates;
    fg::RunningSchedule<AnySchedule> running(member.schedule);
    CHECK(running.steps() == 0);
    running.attach(before, of_before);
    for (int step = 0; step < 5; ++step) running.advance(before);
    running.attach(rates, of_rates);
    CHECK(running.state() == expected.states[0]);
    CHECK(same(rates, expected.rates[0]));
    for (int step = 0; step < 3; ++step) running.advance(rates);
    CHECK(running.state() == expected.states[3]);
    CHECK(same(rates, expected.rates[3]));
  }
}

TEST_CASE("a part that is restarted runs as it would from its step 0, wherever it was") {
  for (const auto& member : parts()) {
    if (member.starts_where_the_rate_is) continue;
    INFO(member.header);
    Rates rates = two_groups();
    std::vector<double> initial_lrs;
    fg::RunningSchedule<AnySchedule> running(member.schedule);
    running.attach(rates, initial_lrs);
    for (int step = 0; step < 5; ++step) running.advance(rates);
    running.restart(rates);
    for (int step = 0; step <= 6; ++step) {
      INFO("step " << step << ": " << rates.lrs[0]);
      CHECK(running.steps() == step);
      CHECK(running.last_lr(0) == rates.lrs[0]);
      CHECK(close(rates.lrs[0], member.lr(0.1, step)));
      running.advance(rates);
    }
  }
}

TEST_CASE("a state of another kind of schedule is refused by load_state and by take_over, and changes nothing") {
  auto all = members();
  all.push_back({"chain of one", fg::ChainedScheduler{fg::StepLR{}}});
  all.push_back({"chain of two", fg::ChainedScheduler{fg::StepLR{}, fg::StepLR{}}});
  all.push_back({"sequence of two", fg::SequentialLR{{1}, fg::StepLR{}, fg::StepLR{}}});
  for (const auto& member : all) {
    Rates rates = two_groups(), others = two_groups();
    auto saved = fg::schedule(rates, member.schedule);
    saved.step();
    for (const auto& other : all) {
      if (other.header == member.header || !has_values(member)) continue;
      if (member.header == "chain of two" && other.header == "sequence of two") continue;  // as an earlier version saved one
      INFO("a state of " << member.header << " for " << other.header);
      auto resumed = fg::schedule(others, other.schedule);
      const auto before = resumed.state();
      CHECK_THROWS_AS(resumed.load_state(saved.state()), std::invalid_argument);
      CHECK_THROWS_AS(resumed.take_over(saved.state()), std::invalid_argument);
      CHECK(resumed.state() == before);
    }
  }
}

namespace {

template <class Schedule>
void check_rates(const Schedule& schedule, int length, double largest) {
  INFO(schedule);
  REQUIRE(schedule.problem() == nullptr);
  for (const double base : {0.0, 1e-3, 1.0}) {
    Rates optimizer{{{base}}};
    optimizer.momenta = {0.9};
    auto running = fg::schedule(optimizer, AnySchedule(schedule));
    for (int step = 0;; ++step) {
      INFO("step " << step << " from " << base << ": " << optimizer.lrs[0] << ", momentum " << optimizer.momenta[0]);
      // (An optimizer takes what is next to 0 for 0.)
      CHECK((optimizer.lrs[0] >= -1e-12 && optimizer.lrs[0] <= std::max(base, largest) * (1.0 + 1e-12)));
      CHECK((optimizer.momenta[0] >= 0.0 && optimizer.momenta[0] < 1.0));
      if (step == length) break;
      running.step();
    }
  }
}

}  // namespace

TEST_CASE("a rate is always a number, never negative, and never above the largest one that the schedule has") {
  constexpr int far = 40;
  for (const std::int64_t n : {1, 2, 3, 7, 10}) {
    const auto factors = {1e-3, 0.1, 1.0 / 3.0, 0.7, 1.0};
    for (const double factor : factors) {
      check_rates(fg::ConstantLR{.factor = factor, .steps = n}, far, 0.0);
      check_rates(fg::LinearWarmup{.steps = n, .start_factor = factor}, far, 0.0);
      check_rates(fg::StepLR{.step_size = n, .gamma = factor}, far, 0.0);
      check_rates(fg::MultiStepLR{.milestones = {0, n, n, 2 * n}, .gamma = factor}, far, 0.0);
      for (const double end : {0.0, 0.3, 1.0}) {
        check_rates(fg::LinearLR{.start_factor = factor, .end_factor = end, .steps = n}, far, 0.0);
      }
    }
    for (const double power : {0.0, 0.5, 1.0, 3.0}) check_rates(fg::PolynomialLR{.steps = n, .power = power}, far, 0.0);
    for (const double least : {0.0, 0.1, 2.0}) {
      check_rates(fg::CosineAnnealingLR{.t_max = n, .min_lr = least}, far, least);
      for (const std::int64_t multiplier : {1, 2, 5}) {
        check_rates(fg::CosineAnnealingWarmRestarts{.period = n, .multiplier = multiplier, .min_lr = least}, far, least);
      }
    }
    for (const auto form : {fg::Anneal::cosine, fg::Anneal::linear}) {
      check_rates(fg::SWALR{.target = 1e-3, .period = n - 1, .anneal = form}, far, 1e-3);
      check_rates(fg::SWALR{.target = 2.0, .period = n - 1, .anneal = form}, far, 2.0);
      for (const double rising : {0.0, 0.1, 0.3, 0.5, 0.6, 1.0}) {
        for (const bool three_phase : {false, true}) {
          const fg::OneCycleLR cycle{
              .max_lr = 0.5, .total_steps = n, .rising = rising, .anneal = form, .three_phase = three_phase};
          check_rates(cycle, static_cast<int>(n), 0.5);  // each of its steps: the last one is that after the training
        }
      }
    }
    for (const auto mode : {fg::CycleMode::triangular, fg::CycleMode::triangular2, fg::CycleMode::exp_range}) {
      for (const auto down :
           {std::optional<std::int64_t>(), std::optional<std::int64_t>(0), std::optional<std::int64_t>(3)}) {
        check_rates(
            fg::CyclicLR{.base_lr = 0.0, .max_lr = 0.5, .steps_up = n, .steps_down = down, .mode = mode, .gamma = 0.9},
            far, 0.5);
      }
    }
  }
  for (const double gamma : {1e-3, 0.9, 1.0}) check_rates(fg::ExponentialLR{.gamma = gamma}, far, 0.0);
  for (const double factor : {0.0, 0.1, 0.9}) {
    for (const double threshold : {0.0, 0.5, 1.0, 2.0}) {
      check_rates(fg::ReduceLROnPlateau<"loss">{.factor = factor, .patience = 0, .threshold = threshold, .min_lr = 1e-4}, far, 1e-4);
    }
  }
}
