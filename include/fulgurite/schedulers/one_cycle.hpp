// SPDX-License-Identifier: MIT
// Schedule: one rise, one fall, over the whole training.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

#include <fulgurite/detail/print.hpp>
#include "scheduler.hpp"

namespace fulgurite {

/// How a schedule goes from one value to another.
enum class Anneal { cosine, linear };

inline std::ostream& operator<<(std::ostream& out, Anneal anneal) {
  return out << (anneal == Anneal::cosine ? "cosine" : "linear");
}

/// The momentum that a cyclic schedule drives against the learning rate.
struct MomentumRange {
  double base = 0.85;  ///< where the learning rate is highest
  double max = 0.95;   ///< where it is lowest

  friend constexpr bool operator==(MomentumRange, MomentumRange) = default;
};

/// One rise to `max_lr` and one long fall far below the start, over the whole training.
/// torch.optim.lr_scheduler.OneCycleLR (Smith and Topin, Super-Convergence, 2018). It overwrites the optimizer's own
/// learning rate from step 0 on. Throws std::out_of_range when it is advanced more often than `total_steps`.
struct OneCycle {
  double max_lr = 0.0;             ///< peak learning rate, above 0
  std::int64_t total_steps = 0;    ///< steps of the whole cycle, at least 1
  double rising = 0.3;             ///< part of the cycle in which the rate rises, in [0, 1]
  double div_factor = 25.0;        ///< the rate starts at max_lr / div_factor
  double final_div_factor = 1e4;   ///< and ends at its start / final_div_factor
  Anneal anneal = Anneal::cosine;  ///< form of both legs
  std::optional<MomentumRange> momentum_range = MomentumRange{};  ///< nullopt leaves the momentum alone

  double lr(const RatePoint& point) const {
    const double start = max_lr / div_factor;
    return at(point.step, start, max_lr, start / final_div_factor);
  }

  std::optional<double> momentum(const RatePoint& point) const {
    if (!momentum_range) return std::nullopt;
    return at(point.step, momentum_range->max, momentum_range->base, momentum_range->max);
  }

  constexpr const char* problem() const {
    if (!(max_lr > 0.0)) return "OneCycle.max_lr must be above 0";
    if (total_steps < 1) return "OneCycle.total_steps must be 1 or more: the optimizer steps of the whole training";
    if (!(rising >= 0.0 && rising <= 1.0)) return "OneCycle.rising must lie in [0, 1]: the part of the cycle that rises";
    if (!(div_factor > 0.0 && final_div_factor > 0.0)) return "OneCycle.div_factor and final_div_factor must be above 0";
    return nullptr;
  }

  friend constexpr bool operator==(const OneCycle&, const OneCycle&) = default;
  friend std::ostream& operator<<(std::ostream& out, const OneCycle& schedule) {
    return detail::print(out, "OneCycle", detail::field("max_lr", schedule.max_lr),
                         detail::field("total_steps", schedule.total_steps), detail::field("rising", schedule.rising),
                         detail::field("div_factor", schedule.div_factor),
                         detail::field("final_div_factor", schedule.final_div_factor),
                         detail::field("anneal", schedule.anneal));
  }

 private:
  double at(std::int64_t step, double start, double peak, double end) const {
    if (step > total_steps) {
      throw std::out_of_range("fulgurite: OneCycle was advanced " + std::to_string(step) + " times, but its total_steps is " +
                              std::to_string(total_steps) + ": give it the number of optimizer steps of the whole training");
    }
    const auto position = static_cast<double>(step);
    const double top = rising * static_cast<double>(total_steps) - 1.0;
    const double bottom = static_cast<double>(total_steps) - 1.0;
    if (position <= top) return between(start, peak, position / top);
    return between(peak, end, (position - top) / (bottom - top));
  }

  double between(double from, double to, double part) const {
    if (anneal == Anneal::linear) return (to - from) * part + from;
    return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * part) + 1.0);
  }
};

}  // namespace fulgurite
