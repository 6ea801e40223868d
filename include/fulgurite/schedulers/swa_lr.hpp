// SPDX-License-Identifier: MIT
// Schedule: from wherever the rate is to a value at which it stays.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <ostream>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>
#include "one_cycle_lr.hpp"
#include "per_group.hpp"

namespace fulgurite {

/// Takes the learning rate from where it is to `target` in `period` steps, and keeps it there: the schedule under which
/// weights are averaged. torch.optim.swa_utils.SWALR.
struct SWALR {
  PerGroup target = 0.0;           ///< learning rate at the end, above 0
  std::int64_t period = 10;        ///< steps until then; 0 starts at `target`
  Anneal anneal = Anneal::cosine;  ///< form of the way

  double lr(const RatePoint& point) const {
    const double end = target.at(point.group);
    const std::int64_t step = period == 0 ? std::max<std::int64_t>(1, point.step) : point.step;
    const double before = way(step - 1);
    const double start = before == 1.0 ? end : (point.current - before * end) / (1.0 - before);
    const double now = way(step);
    return end * now + start * (1.0 - now);
  }

  void require_groups(std::int64_t count) const { target.require_groups("SWALR.target", count); }

  const char* problem() const {
    if (!target.all([](double lr) { return lr > 0.0; })) return "SWALR.target must be above 0";
    return period >= 0 ? nullptr : "SWALR.period must be 0 or more: the steps until the target";
  }

  /// Calls f("SWALR.target", schedule.target) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("SWALR.target", schedule.target);
    f("SWALR.period", schedule.period);
    f("SWALR.anneal", schedule.anneal);
  }

  friend bool operator==(const SWALR&, const SWALR&) = default;
  friend std::ostream& operator<<(std::ostream& out, const SWALR& schedule) {
    return detail::print(out, "SWALR", detail::field("target", schedule.target), detail::field("period", schedule.period),
                         detail::field("anneal", schedule.anneal));
  }

 private:
  // Which part of the way is done at a step, in [0, 1].
  double way(std::int64_t step) const {
    const double length = static_cast<double>(std::max<std::int64_t>(1, period));
    const double done = std::clamp(static_cast<double>(step) / length, 0.0, 1.0);
    return anneal == Anneal::linear ? done : (1.0 - std::cos(std::numbers::pi * done)) / 2.0;
  }
};

}  // namespace fulgurite
