// SPDX-License-Identifier: MIT
// Schedule: the user's own function of the step.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>
#include <utility>

#include <fulgurite/concepts/scheduler.hpp>
#include "detail/group_factors.hpp"

namespace fulgurite {

/// The base learning rate times a function of the step, one for all parameter groups or one for each:
/// `LambdaLR{[](std::int64_t step) { return 1.0 / (1 + step); }}`. torch.optim.lr_scheduler.LambdaLR.
/// The function should depend on nothing else, so that a resumed run sees the same rates.
template <std::invocable<std::int64_t>... Factors>
class LambdaLR {
 public:
  explicit LambdaLR(Factors... factors) : factors_(std::move(factors)...) {}

  double lr(const RatePoint& point) const { return point.base * factors_(point); }

  void require_groups(std::int64_t count) const { factors_.require_groups("LambdaLR", count); }

  friend std::ostream& operator<<(std::ostream& out, const LambdaLR&) { return out << "LambdaLR"; }

 private:
  detail::GroupFactors<Factors...> factors_;
};

}  // namespace fulgurite
