// SPDX-License-Identifier: MIT
// How the weights of a training are averaged: how much the newest ones count.
#pragma once

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <ostream>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// A running mean: average += weight(count) * (newest - average), where `count` updates are in the average already, at
/// least one. (The first update copies.)
template <class M>
concept Mean = std::copyable<M> && requires(const M& mean, std::int64_t count) {
  { mean.weight(count) } -> std::convertible_to<double>;
};

/// Every update counts the same: stochastic weight averaging. swa_utils.get_swa_multi_avg_fn (Izmailov, Podoprikhin,
/// Garipov, Vetrov and Wilson, Averaging Weights Leads to Wider Optima and Better Generalization, 2018).
struct EqualMean {
  constexpr double weight(std::int64_t count) const { return 1.0 / static_cast<double>(count + 1); }

  friend constexpr bool operator==(EqualMean, EqualMean) = default;
  friend std::ostream& operator<<(std::ostream& out, EqualMean) { return out << "EqualMean"; }
};

/// Older updates fade: average = d * average + (1 - d) * newest. swa_utils.get_ema_multi_avg_fn (a form of the averaging
/// of Polyak and Juditsky, Acceleration of Stochastic Approximation by Averaging, 1992).
struct ExponentialMean {
  double decay = 0.999;  ///< d, in [0, 1]
  double warm_up = 0.0;  ///< early on, d is at most (1 + count) / (warm_up + count); 10 is TensorFlow's, 0 none

  constexpr double decay_at(std::int64_t count) const {
    const double before = static_cast<double>(count);
    return std::min(decay, (1.0 + before) / (warm_up + before));
  }
  constexpr double weight(std::int64_t count) const { return 1.0 - decay_at(count); }

  constexpr const char* problem() const {
    if (!(decay >= 0.0 && decay <= 1.0)) return "ExponentialMean.decay must be in [0, 1]";
    return warm_up >= 0.0 ? nullptr : "ExponentialMean.warm_up must be 0 or more updates";
  }

  friend constexpr bool operator==(ExponentialMean, ExponentialMean) = default;
  friend std::ostream& operator<<(std::ostream& out, ExponentialMean mean) {
    return detail::print(out, "ExponentialMean", detail::field("decay", mean.decay), detail::field("warm_up", mean.warm_up));
  }
};

}  // namespace fulgurite
