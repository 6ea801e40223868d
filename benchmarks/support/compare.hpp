// SPDX-License-Identifier: MIT
// Compares contenders side by side. On a shared machine a bare time says little, so all of them run in turn, round by
// round, and what is printed is the median over rounds of the ratio to the first.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

namespace benchmarks {

/// `run()` does the work once. It is called many times in a row, so it should take from microseconds to milliseconds.
struct Contender {
  std::string name;
  std::function<void()> run;
};

struct Outcome {
  std::string name;
  double microseconds;  ///< of one run, median over rounds
  double times_faster;  ///< than the first contender, median over rounds
};

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// FULGURITE_BENCHMARK_ROUNDS, or enough for a median to stand still.
inline std::size_t wished_rounds() {
  const char* wish = std::getenv("FULGURITE_BENCHMARK_ROUNDS");
  const int rounds = wish ? std::atoi(wish) : 0;
  return rounds > 0 ? static_cast<std::size_t>(rounds) : 15;
}

/// Each round gives every contender about `slice`. The first round warms up and is not counted.
inline std::vector<Outcome> compare(const std::vector<Contender>& contenders, std::size_t rounds = wished_rounds(),
                                    std::chrono::duration<double> slice = std::chrono::milliseconds(40)) {
  using Clock = std::chrono::steady_clock;
  std::vector<std::vector<double>> times(contenders.size());
  for (std::size_t round = 0; round <= rounds; ++round) {
    for (std::size_t i = 0; i < contenders.size(); ++i) {
      std::size_t runs = 0;
      const auto start = Clock::now();
      std::chrono::duration<double> elapsed{};
      for (; elapsed < slice; elapsed = Clock::now() - start) {
        for (int k = 0; k < 8; ++k) contenders[i].run();
        runs += 8;
      }
      if (round > 0) times[i].push_back(elapsed.count() / static_cast<double>(runs));
    }
  }
  std::vector<Outcome> outcomes;
  for (std::size_t i = 0; i < contenders.size(); ++i) {
    std::vector<double> ratios;
    for (std::size_t round = 0; round < rounds; ++round) ratios.push_back(times[0][round] / times[i][round]);
    outcomes.push_back({contenders[i].name, median(times[i]) * 1e6, median(ratios)});
  }
  return outcomes;
}

/// A table of one comparison: name, times faster than the first, and microseconds for orientation.
inline void print(const std::string& title, const std::vector<Outcome>& outcomes) {
  std::printf("%s\n", title.c_str());
  for (const Outcome& outcome : outcomes) {
    std::printf("  %-44s %7.2f x   %10.2f us\n", outcome.name.c_str(), outcome.times_faster, outcome.microseconds);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace benchmarks
