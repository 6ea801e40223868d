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

/// The first batch of each shape runs as ever, the second is recorded, the third is checked bit for bit against an eager one,
/// and from then on forward and backward pass are replayed without an autograd graph. training_step does not run again: what
/// it does on the host (counting, branching, printing) is not repeated, what it logs as a tensor is. Clipping and the update
/// of a fused optimizer are replayed likewise, unless a hook stands before them; schedules and the hooks around the step run
/// as ever. Where a step cannot be frozen, the trainer says why and goes on eagerly.
struct Frozen {
  using slot = slots::Execution;
  static constexpr bool freezes = true;

  bool strict = false;    ///< a step that cannot be frozen throws fg::FrozenRefusal instead
  std::size_t tapes = 8;  ///< recorded at most, one for each batch shape and place in an accumulation window; the oldest goes

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
