// SPDX-License-Identifier: MIT
// Slot: what happens when a loss is NaN or infinite.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

namespace fulgurite {

namespace slots {
struct NonFinite;
}

/// What to do with a batch whose loss is not finite, or with one loss of manual optimization.
enum class NonFiniteAction {
  stop,    ///< throw `fg::NonFiniteLoss`; no optimizer steps on the loss
  skip,    ///< leave the batch out of its window; a window without any other batch makes no step
  ignore,  ///< go on as if nothing had happened
};

/// What a policy of this slot is told.
struct NonFiniteReport {
  std::int64_t epoch;  ///< from 0
  std::int64_t batch;  ///< in the epoch, from 0
  double loss;         ///< NaN or infinite
};

/// A non-finite loss ends the run with `fg::NonFiniteLoss`, before an optimizer steps on it.
struct StopOnNonFinite {
  using slot = slots::NonFinite;
  static constexpr bool checks = true;

  static constexpr NonFiniteAction on_non_finite(const NonFiniteReport&) { return NonFiniteAction::stop; }

  friend constexpr bool operator==(StopOnNonFinite, StopOnNonFinite) { return true; }
  friend std::ostream& operator<<(std::ostream& out, StopOnNonFinite) { return out << "StopOnNonFinite"; }
};

/// A batch with a non-finite loss is left out; `trainer.progress().skipped_steps` counts the steps that fell away. In manual
/// optimization `step.manual_backward(loss)` adds no gradient and returns false, and nothing is counted.
struct SkipNonFinite {
  using slot = slots::NonFinite;
  static constexpr bool checks = true;

  static constexpr NonFiniteAction on_non_finite(const NonFiniteReport&) { return NonFiniteAction::skip; }

  friend constexpr bool operator==(SkipNonFinite, SkipNonFinite) { return true; }
  friend std::ostream& operator<<(std::ostream& out, SkipNonFinite) { return out << "SkipNonFinite"; }
};

/// Nobody looks: a NaN spreads into the parameters, as in a plain PyTorch loop.
struct IgnoreNonFinite {
  using slot = slots::NonFinite;
  static constexpr bool checks = false;

  static constexpr NonFiniteAction on_non_finite(const NonFiniteReport&) { return NonFiniteAction::ignore; }

  friend constexpr bool operator==(IgnoreNonFinite, IgnoreNonFinite) { return true; }
  friend std::ostream& operator<<(std::ostream& out, IgnoreNonFinite) { return out << "IgnoreNonFinite"; }
};

/// Concept of the slot. With `checks` false the loss is never looked at.
template <class P>
concept NonFinitePolicy = requires(const P& policy, const NonFiniteReport& report) {
  { P::checks } -> std::convertible_to<bool>;
  { policy.on_non_finite(report) } -> std::same_as<NonFiniteAction>;
};

namespace slots {
struct NonFinite {
  using fallback = StopOnNonFinite;
  template <class P>
  static constexpr bool accepts = NonFinitePolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
