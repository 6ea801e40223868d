// SPDX-License-Identifier: MIT
// Schedule: the user's own factor of every step.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>
#include <utility>

#include <fulgurite/concepts/scheduler.hpp>
#include "detail/group_factors.hpp"

namespace fulgurite {

/// Multiplies the learning rate in every step by a function of the step, one for all parameter groups or one for each:
/// `MultiplicativeLR{[](std::int64_t) { return 0.95; }}`. torch.optim.lr_scheduler.MultiplicativeLR.
template <std::invocable<std::int64_t>... Factors>
class MultiplicativeLR {
 public:
  explicit MultiplicativeLR(Factors... factors) : factors_(std::move(factors)...) {}

  double lr(const RatePoint& point) const {
    return point.arrival == Arrival::attached ? point.current : point.current * factors_(point);
  }

  void require_groups(std::int64_t count) const { factors_.require_groups("MultiplicativeLR", count); }

  friend std::ostream& operator<<(std::ostream& out, const MultiplicativeLR&) {
    return out << "MultiplicativeLR";
  }

 private:
  detail::GroupFactors<Factors...> factors_;
};

}  // namespace fulgurite
