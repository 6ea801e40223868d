// SPDX-License-Identifier: MIT
// Slot: who drives the optimizer, the library or the model.
#pragma once

#include <concepts>
#include <ostream>

namespace fulgurite {

namespace slots {
struct Optimization;
}

/// The library does zero_grad, backward, clipping, the update and the schedules; `training_step` returns the loss.
struct AutomaticOptimization {
  using slot = slots::Optimization;

  friend constexpr bool operator==(AutomaticOptimization, AutomaticOptimization) { return true; }
  friend std::ostream& operator<<(std::ostream& out, AutomaticOptimization) {
    return out << "AutomaticOptimization";
  }
};

/// `training_step` does all of it itself through `step.optimizers()`, `step.manual_backward(loss)` and
/// `step.lr_schedulers()`; the library takes care of precision, device, counters, hooks and logs.
struct ManualOptimization {
  using slot = slots::Optimization;

  friend constexpr bool operator==(ManualOptimization, ManualOptimization) { return true; }
  friend std::ostream& operator<<(std::ostream& out, ManualOptimization) { return out << "ManualOptimization"; }
};

/// This slot is closed: the two modes are two loops, and there is no third one to plug in.
template <class P>
concept OptimizationPolicy = std::same_as<P, AutomaticOptimization> || std::same_as<P, ManualOptimization>;

namespace slots {
struct Optimization {
  using fallback = AutomaticOptimization;
  template <class P>
  static constexpr bool accepts = OptimizationPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
