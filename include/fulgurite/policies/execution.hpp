// SPDX-License-Identifier: MIT
// Slot: how a step is executed.
#pragma once

#include <concepts>
#include <cstddef>
#include <ostream>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

namespace slots {
struct Execution;
}

/// Operator by operator, as LibTorch does it.
struct Eager {
  using slot = slots::Execution;
  static constexpr bool freezes = false;

  friend constexpr bool operator==(Eager, Eager) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Eager) { return out << "Eager"; }
};

/// The first batch of each kind (shapes, parameters that require gradients, place in an accumulation window) runs eagerly,
/// the second is recorded, the third is checked bit for bit against an eager one, and from then on forward and backward pass
/// are replayed without an autograd graph; tapes are checked again when an epoch begins, and at growing distances.
/// training_step does not run for a replay: what it does on the host (counting, branching, printing) is not repeated, what
/// it logs as a tensor is. `step.epoch()`, `step.is_last_batch()` and `step.batch_count()` may be asked there, since each
/// answer has a tape of its own; what has another value in each batch is refused. Clipping and the update of a fused
/// optimizer are replayed too, unless a hook stands before them; schedules and the hooks around the step run as they do
/// eagerly. Where a step cannot be frozen, the trainer says why and goes on eagerly.
struct Frozen {
  using slot = slots::Execution;
  static constexpr bool freezes = true;

  bool strict = false;    ///< a step that cannot be frozen throws fg::FrozenRefusal instead
  std::size_t tapes =
      8;  ///< kept at most, one for each kind of batch; batches of other kinds train eagerly, which is said once

  constexpr const char* problem() const { return tapes >= 1 ? nullptr : "Frozen.tapes must be 1 or more"; }

  friend constexpr bool operator==(Frozen, Frozen) = default;
  friend std::ostream& operator<<(std::ostream& out, Frozen policy) {
    return detail::print(out, "Frozen", detail::field("strict", policy.strict), detail::field("tapes", policy.tapes));
  }
};

/// This slot is closed: a third execution would have to be known to the engine.
template <class P>
concept ExecutionPolicy = std::same_as<P, Eager> || std::same_as<P, Frozen>;

namespace slots {
struct Execution {
  using fallback = Eager;
  template <class P>
  static constexpr bool accepts = ExecutionPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
