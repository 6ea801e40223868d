// SPDX-License-Identifier: MIT
// Schedule: up and down between two rates.
#pragma once

#include <cmath>
#include <concepts>
#include <cstdint>
#include <optional>
#include <ostream>
#include <utility>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>
#include "momentum_range.hpp"
#include "per_group.hpp"

namespace fulgurite {

/// How the height of a cycle changes.
enum class CycleMode {
  triangular,   ///< it doesn't
  triangular2,  ///< each cycle is half as high as the one before it
  exp_range,    ///< by `gamma` in every step
};

inline std::ostream& operator<<(std::ostream& out, CycleMode mode) {
  switch (mode) {
    case CycleMode::triangular: return out << "triangular";
    case CycleMode::triangular2: return out << "triangular2";
    case CycleMode::exp_range: break;
  }
  return out << "exp_range";
}

/// What a scale function of one's own is a function of.
enum class ScaleBy {
  cycle,  ///< the number of the cycle, from 1
  step,   ///< the step, from 0
};

template <class Scale>
class ScaledCyclicLR;

/// Goes up and down between `base_lr` and `max_lr`. torch.optim.lr_scheduler.CyclicLR (Smith, Cyclical Learning Rates,
/// 2015). It overwrites the optimizer's own learning rate from step 0 on.
struct CyclicLR {
  PerGroup base_lr = 0.0;                  ///< lowest learning rate, 0 or more
  PerGroup max_lr = 0.0;                   ///< highest learning rate of the first cycle, above 0
  std::int64_t steps_up = 2000;            ///< steps of a rise, at least 1
  std::optional<std::int64_t> steps_down = std::nullopt;  ///< steps of a fall, 0 or more; as many as up unless given
  CycleMode mode = CycleMode::triangular;  ///< how the height changes
  double gamma = 1.0;                      ///< factor of a step in mode exp_range, 0 or more
  /// nullopt leaves the momentum alone
  std::optional<MomentumRange> momentum_range = MomentumRange{.base = 0.8, .max = 0.9};

  double lr(const RatePoint& point) const { return lr_scaled(point, scale(point.step)); }
  std::optional<double> momentum(const RatePoint& point) const { return momentum_scaled(point, scale(point.step)); }

  /// The same with a scale function instead of a mode: `.scaled_by([](std::int64_t cycle) { return 1.0 / cycle; })`.
  template <std::invocable<std::int64_t> Scale>
  ScaledCyclicLR<Scale> scaled_by(Scale function, ScaleBy by = ScaleBy::cycle) const {
    return ScaledCyclicLR<Scale>(*this, std::move(function), by);
  }

  /// What a group's rate is set to when it is attached. As in PyTorch, step 0 then has the initial rate of the optimizer,
  /// which is this one if no other schedule was attached before.
  double start_lr(std::int64_t group) const { return base_lr.at(group); }

  void require_groups(std::int64_t count) const {
    base_lr.require_groups("CyclicLR.base_lr", count);
    max_lr.require_groups("CyclicLR.max_lr", count);
    if (momentum_range) momentum_range->require_groups("CyclicLR.momentum_range", count);
  }

  const char* problem() const {
    if (!base_lr.all([](double lr) { return lr >= 0.0; })) return "CyclicLR.base_lr must be 0 or more";
    if (!max_lr.all([](double lr) { return lr > 0.0; })) return "CyclicLR.max_lr must be above 0";
    if (steps_up < 1) return "CyclicLR.steps_up must be 1 or more";
    if (steps_down && *steps_down < 0) return "CyclicLR.steps_down must be 0 or more";
    return gamma >= 0.0 ? nullptr : "CyclicLR.gamma must be 0 or more";
  }

  /// Calls f("CyclicLR.base_lr", schedule.base_lr) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("CyclicLR.base_lr", schedule.base_lr);
    f("CyclicLR.max_lr", schedule.max_lr);
    f("CyclicLR.steps_up", schedule.steps_up);
    f("CyclicLR.steps_down", schedule.steps_down);
    f("CyclicLR.mode", schedule.mode);
    f("CyclicLR.gamma", schedule.gamma);
    f("CyclicLR.momentum_range", schedule.momentum_range);
  }

  friend bool operator==(const CyclicLR&, const CyclicLR&) = default;
  friend std::ostream& operator<<(std::ostream& out, const CyclicLR& schedule) {
    return detail::print(out, "CyclicLR", detail::field("base_lr", schedule.base_lr),
                         detail::field("max_lr", schedule.max_lr), detail::field("steps_up", schedule.steps_up),
                         detail::field("steps_down", schedule.steps_down.value_or(schedule.steps_up)),
                         detail::field("mode", schedule.mode), detail::field("gamma", schedule.gamma));
  }

 private:
  template <class Scale>
  friend class ScaledCyclicLR;

  struct Place {
    std::int64_t cycle;  // from 1
    double height;       // 0 at the foot, 1 at the top
  };

  Place place(std::int64_t step) const {
    const auto up = static_cast<double>(steps_up);
    const double total = up + static_cast<double>(steps_down.value_or(steps_up));
    const double top = up / total;
    const double cycle = std::floor(1.0 + static_cast<double>(step) / total);
    const double x = 1.0 + static_cast<double>(step) / total - cycle;
    return {static_cast<std::int64_t>(cycle), x <= top ? x / top : (x - 1.0) / (top - 1.0)};
  }

  double scale(std::int64_t step) const {
    switch (mode) {
      case CycleMode::triangular: return 1.0;
      case CycleMode::triangular2: return 1.0 / std::pow(2.0, static_cast<double>(place(step).cycle - 1));
      case CycleMode::exp_range: break;
    }
    return std::pow(gamma, static_cast<double>(step));
  }

  double lr_scaled(const RatePoint& point, double by) const {
    const double foot = base_lr.at(point.group);
    return foot + (max_lr.at(point.group) - foot) * place(point.step).height * by;
  }

  std::optional<double> momentum_scaled(const RatePoint& point, double by) const {
    if (!momentum_range) return std::nullopt;
    const double max = momentum_range->max.at(point.group);
    return max - (max - momentum_range->base.at(point.group)) * place(point.step).height * by;
  }
};

/// A CyclicLR whose height is the user's own function. Made by `CyclicLR{...}.scaled_by(function)`.
template <class Scale>
class ScaledCyclicLR {
 public:
  ScaledCyclicLR(CyclicLR cycle, Scale scale, ScaleBy by)
      : cycle_(std::move(cycle)), scale_(std::move(scale)), by_(by) {}

  double lr(const RatePoint& point) const { return cycle_.lr_scaled(point, scale(point.step)); }
  std::optional<double> momentum(const RatePoint& point) const {
    return cycle_.momentum_scaled(point, scale(point.step));
  }

  double start_lr(std::int64_t group) const { return cycle_.start_lr(group); }
  void require_groups(std::int64_t count) const { cycle_.require_groups(count); }
  const char* problem() const { return cycle_.problem(); }

  /// Those of the cycle, and what the function is called with; the function itself cannot be compared.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    CyclicLR::for_each_field(schedule.cycle_, f);
    f("CyclicLR.by", schedule.by_);
  }

  friend std::ostream& operator<<(std::ostream& out, const ScaledCyclicLR& schedule) {
    return out << schedule.cycle_ << " scaled by " << (schedule.by_ == ScaleBy::cycle ? "cycle" : "step");
  }

 private:
  double scale(std::int64_t step) const {
    return static_cast<double>(scale_(by_ == ScaleBy::cycle ? cycle_.place(step).cycle : step));
  }

  CyclicLR cycle_;
  Scale scale_;
  ScaleBy by_;
};

}  // namespace fulgurite
