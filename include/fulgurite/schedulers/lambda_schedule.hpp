// SPDX-License-Identifier: MIT
// Schedule: the user's own function of the step.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>
#include <utility>

#include "scheduler.hpp"

namespace fulgurite {

/// The base learning rate times a function of the step: `LambdaSchedule{[](std::int64_t step) { return 1.0 / (1 + step); }}`.
/// torch.optim.lr_scheduler.LambdaLR. The function should depend on nothing else, so that a resumed run sees the same rates.
template <std::invocable<std::int64_t> Factor>
class LambdaSchedule {
 public:
  explicit LambdaSchedule(Factor factor) : factor_(std::move(factor)) {}

  double lr(const RatePoint& point) const { return point.base * static_cast<double>(factor_(point.step)); }

  friend std::ostream& operator<<(std::ostream& out, const LambdaSchedule&) { return out << "LambdaSchedule"; }

 private:
  Factor factor_;
};

}  // namespace fulgurite
