// SPDX-License-Identifier: MIT
// Schedule: one rise, one fall, over the whole training.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>
#include "momentum_range.hpp"
#include "per_group.hpp"

namespace fulgurite {

/// How a schedule goes from one value to another.
enum class Anneal { cosine, linear };

inline std::ostream& operator<<(std::ostream& out, Anneal anneal) {
  return out << (anneal == Anneal::cosine ? "cosine" : "linear");
}

/// One rise to `max_lr` and one long fall far below the start, over the whole training.
/// torch.optim.lr_scheduler.OneCycleLR (Smith and Topin, Super-Convergence, 2018). It overwrites the optimizer's own
/// learning rate from step 0 on. Throws std::out_of_range when it is advanced more often than its steps.
struct OneCycleLR {
  PerGroup max_lr = 0.0;              ///< peak learning rate, above 0
  std::int64_t total_steps = 0;       ///< steps of the whole cycle; 0 takes `epochs` times `steps_per_epoch`
  std::int64_t epochs = 0;            ///< epochs of the training, where `total_steps` is not given
  std::int64_t steps_per_epoch = 0;   ///< optimizer steps of an epoch, where `total_steps` is not given
  double rising = 0.3;                ///< part of the cycle in which the rate rises, in [0, 1]
  double div_factor = 25.0;           ///< the rate starts at max_lr / div_factor
  double final_div_factor = 1e4;      ///< and ends at its start / final_div_factor
  Anneal anneal = Anneal::cosine;     ///< form of each leg
  bool three_phase = false;           ///< falls to the start as it rose, then to the end; else it falls there at once
  std::optional<MomentumRange> momentum_range = MomentumRange{};  ///< nullopt leaves the momentum alone

  double lr(const RatePoint& point) const {
    const double peak = max_lr.at(point.group);
    const double start = peak / div_factor;
    return at(point.step, start, peak, start / final_div_factor);
  }

  std::optional<double> momentum(const RatePoint& point) const {
    if (!momentum_range) return std::nullopt;
    const double max = momentum_range->max.at(point.group);
    return at(point.step, max, momentum_range->base.at(point.group), max);
  }

  /// What becomes the initial rate of a group, for this and for all schedules after it.
  double initial_lr(std::int64_t group) const { return max_lr.at(group) / div_factor; }

  void require_groups(std::int64_t count) const {
    max_lr.require_groups("OneCycleLR.max_lr", count);
    if (momentum_range) momentum_range->require_groups("OneCycleLR.momentum_range", count);
  }

  const char* problem() const {
    if (!max_lr.all([](double lr) { return lr > 0.0; })) return "OneCycleLR.max_lr must be above 0";
    if (epochs < 0 || steps_per_epoch < 0 || steps() < 1) {
      return "OneCycleLR needs its length: set total_steps to the optimizer steps of the whole training, or epochs and "
             "steps_per_epoch";
    }
    if (!(rising >= 0.0 && rising <= 1.0)) return "OneCycleLR.rising must be in [0, 1]: the part of the cycle that rises";
    if (!(div_factor > 0.0 && final_div_factor > 0.0)) return "OneCycleLR.div_factor and final_div_factor must be above 0";
    return nullptr;
  }

  /// Steps of the whole cycle. Beyond them it throws.
  std::int64_t length() const { return steps(); }
  static constexpr bool throws_beyond_length = true;

  /// Calls f("OneCycleLR.max_lr", schedule.max_lr) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("OneCycleLR.max_lr", schedule.max_lr);
    f("OneCycleLR.total_steps", schedule.total_steps);
    f("OneCycleLR.epochs", schedule.epochs);
    f("OneCycleLR.steps_per_epoch", schedule.steps_per_epoch);
    f("OneCycleLR.rising", schedule.rising);
    f("OneCycleLR.div_factor", schedule.div_factor);
    f("OneCycleLR.final_div_factor", schedule.final_div_factor);
    f("OneCycleLR.anneal", schedule.anneal);
    f("OneCycleLR.three_phase", schedule.three_phase);
    f("OneCycleLR.momentum_range", schedule.momentum_range);
  }

  friend bool operator==(const OneCycleLR&, const OneCycleLR&) = default;
  friend std::ostream& operator<<(std::ostream& out, const OneCycleLR& schedule) {
    return detail::print(out, "OneCycleLR", detail::field("max_lr", schedule.max_lr),
                         detail::field("total_steps", schedule.steps()), detail::field("rising", schedule.rising),
                         detail::field("div_factor", schedule.div_factor),
                         detail::field("final_div_factor", schedule.final_div_factor),
                         detail::field("anneal", schedule.anneal), detail::field("three_phase", schedule.three_phase));
  }

 private:
  std::int64_t steps() const { return total_steps != 0 ? total_steps : epochs * steps_per_epoch; }

  double at(std::int64_t step, double start, double peak, double end) const {
    const std::int64_t total = steps();
    if (step > total) {
      throw std::out_of_range("fulgurite: OneCycleLR was advanced " + std::to_string(step) + " times, but its length is " +
                              std::to_string(total) + " steps: give it the number of optimizer steps of the whole training");
    }
    const auto position = static_cast<double>(step);
    const double top = rising * static_cast<double>(total) - 1.0;
    const double bottom = static_cast<double>(total) - 1.0;
    if (position <= top) return between(start, peak, part(position, 0.0, top));
    if (!three_phase) return between(peak, end, part(position, top, bottom));
    const double foot = 2.0 * rising * static_cast<double>(total) - 2.0;
    if (position <= foot) return between(peak, start, part(position, top, foot));
    return between(start, end, part(position, foot, bottom));
  }

  // A leg without length is over at once.
  static double part(double position, double from, double to) { return to == from ? 1.0 : (position - from) / (to - from); }

  double between(double from, double to, double fraction) const {
    // (The step after the last one of the training is beyond the end, and on the line the rate would be negative there.)
    if (anneal == Anneal::linear) return (to - from) * std::min(fraction, 1.0) + from;
    return to + (from - to) / 2.0 * (std::cos(std::numbers::pi * fraction) + 1.0);
  }
};

}  // namespace fulgurite
