// SPDX-License-Identifier: MIT
// Schedule: a drop at each milestone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <ostream>
#include <vector>

#include <fulgurite/concepts/scheduler.hpp>
#include <fulgurite/detail/print.hpp>

namespace fulgurite {

/// Multiplies the learning rate by `gamma` at each milestone, by its power where one stands several times.
/// torch.optim.lr_scheduler.MultiStepLR.
struct MultiStepLR {
  std::vector<std::int64_t> milestones;  ///< steps, ascending, none below 0
  double gamma = 0.1;                    ///< factor of a decay, 0 or more

  double lr(const RatePoint& point) const {
    const auto [from, to] = std::equal_range(milestones.begin(), milestones.end(), point.step);
    if (point.arrival == Arrival::restarted) {
      return point.base * std::pow(gamma, static_cast<double>(to - milestones.begin()));
    }
    return point.current * std::pow(gamma, static_cast<double>(to - from));
  }

  const char* problem() const {
    if (!std::is_sorted(milestones.begin(), milestones.end())) return "MultiStepLR.milestones must ascend";
    if (!milestones.empty() && milestones.front() < 0) return "MultiStepLR.milestones must be 0 or more";
    if (!(gamma >= 0.0)) return "MultiStepLR.gamma must be 0 or more";
    return nullptr;
  }

  /// Calls f("MultiStepLR.milestones", schedule.milestones) and so on: for the schedule's state.
  static constexpr void for_each_field(auto& schedule, auto&& f) {
    f("MultiStepLR.milestones", schedule.milestones);
    f("MultiStepLR.gamma", schedule.gamma);
  }

  friend bool operator==(const MultiStepLR&, const MultiStepLR&) = default;
  friend std::ostream& operator<<(std::ostream& out, const MultiStepLR& schedule) {
    return detail::print(out, "MultiStepLR", detail::field("milestones", detail::Listed{schedule.milestones}),
                         detail::field("gamma", schedule.gamma));
  }
};

}  // namespace fulgurite
