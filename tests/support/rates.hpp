// SPDX-License-Identifier: MIT
// An optimizer that is nothing but its rates, and what every schedule must do with one.
#pragma once

#include <fulgurite/schedulers.hpp>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

namespace toy {

/// One learning rate a group.
struct Rates {
  std::vector<double> lrs{1.0};

  std::int64_t group_count() const { return static_cast<std::int64_t>(lrs.size()); }
  double lr(std::int64_t group) const { return lrs.at(static_cast<std::size_t>(group)); }
  void set_lr(std::int64_t group, double lr) { lrs.at(static_cast<std::size_t>(group)) = lr; }
};

/// And one momentum.
struct MomentumRates : Rates {
  std::vector<double> momenta = std::vector<double>(lrs.size(), 0.9);

  double momentum(std::int64_t group) const { return momenta.at(static_cast<std::size_t>(group)); }
  void set_momentum(std::int64_t group, double momentum) { momenta.at(static_cast<std::size_t>(group)) = momentum; }
};

/// The first group's rates: where a schedule is attached, and after each of `steps` steps.
template <class Schedule>
std::vector<double> rates(const Schedule& given, int steps, MomentumRates optimizer = {}) {
  auto schedule = fulgurite::schedule(optimizer, given);
  std::vector<double> seen{optimizer.lr(0)};
  for (int step = 0; step < steps; ++step) {
    schedule.step();
    seen.push_back(optimizer.lr(0));
  }
  return seen;
}

inline void check_same(const std::vector<double>& actual, const std::vector<double>& expected) {
  REQUIRE(actual.size() == expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    INFO("step " << i << ": " << actual[i] << ", expected " << expected[i]);
    CHECK(std::abs(actual[i] - expected[i]) <= 1e-12 * std::abs(expected[i]));
  }
}

/// Saved after any number of steps and loaded into a new schedule of an optimizer with other rates, it goes on as if it had
/// never stopped.
template <class Schedule>
void check_resumes(const Schedule& given, int steps = 12) {
  for (int stop = 0; stop <= steps; ++stop) {
    MomentumRates optimizer{{{0.1, 0.4}}};
    MomentumRates fresh{{{0.3, 0.2}}};
    const auto advance = [](auto& schedule, int step) {
      if constexpr (fulgurite::MetricScheduler<Schedule>) {
        schedule.step(std::cos(step));
      } else {
        schedule.step();
      }
    };
    auto schedule = fulgurite::schedule(optimizer, given);
    for (int step = 0; step < stop; ++step) advance(schedule, step);
    auto resumed = fulgurite::schedule(fresh, given);
    resumed.load_state(schedule.state());
    fresh = optimizer;  // the rates are the optimizer's to save
    for (int step = stop; step < steps; ++step) {
      advance(schedule, step);
      advance(resumed, step);
      CHECK(fresh.lrs == optimizer.lrs);
      CHECK(fresh.momenta == optimizer.momenta);
    }
    CHECK(resumed.state() == schedule.state());
    CHECK(resumed.steps() == steps);
  }
}

}  // namespace toy
