// SPDX-License-Identifier: MIT
// Policies that cannot work together, each pair with its own sentence. Where PyTorch Lightning ignores one of the two
// silently, we refuse the pair.
#pragma once

#include <concepts>

#include "accumulation.hpp"
#include "clipping.hpp"
#include "execution.hpp"
#include "non_finite.hpp"
#include "optimization.hpp"
#include "scheduler_interval.hpp"

namespace fulgurite::detail {

/// `Set` is a PolicySet: `Set::template given<Slot>` says whether the user filled a slot, `policy<Slot>` with what.
template <class Set>
inline constexpr bool is_manual = std::same_as<typename Set::template policy<slots::Optimization>, ManualOptimization>;

template <class Set>
inline constexpr bool clips = !std::same_as<typename Set::template policy<slots::Clipping>, NoClipping>;

template <class Set>
inline constexpr bool accumulates =
    !std::same_as<typename Set::template policy<slots::Accumulation>, NoAccumulation>;

template <class Set>
concept ManualWithoutClipping = !(is_manual<Set> && clips<Set>);
template <class Set>
concept ManualWithoutAccumulation = !(is_manual<Set> && accumulates<Set>);
template <class Set>
concept ManualWithoutInterval = !(is_manual<Set> && Set::template given<slots::SchedulerInterval>);

template <class Set>
inline constexpr bool freezes = Set::template policy<slots::Execution>::freezes;

template <class Set>
concept ManualWithoutFrozen = !(is_manual<Set> && freezes<Set>);
template <class Set>
concept FrozenWithoutSkip =
    !(freezes<Set> && std::same_as<typename Set::template policy<slots::NonFinite>, SkipNonFinite>);

template <class Set>
concept Compatible = ManualWithoutClipping<Set> && ManualWithoutAccumulation<Set> && ManualWithoutInterval<Set> &&
                     ManualWithoutFrozen<Set> && FrozenWithoutSkip<Set>;

template <class Set>
consteval void require_compatible() {
  static_assert(
      ManualWithoutClipping<Set>,
      "fg::ManualOptimization cannot go together with a clipping policy: call "
      "step.clip_gradients(optimizer, fg::ClipNorm{...}) in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutAccumulation<Set>,
                "fg::ManualOptimization cannot go together with an accumulation policy: call optimizer.step() every n-th "
                "batch in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutInterval<Set>,
                "fg::ManualOptimization cannot go together with a scheduler interval: call step.lr_schedulers().step() "
                "in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutFrozen<Set>,
                "fg::Frozen needs automatic optimization: what a manual training_step decides on the host could not be "
                "repeated. Remove one of the two. See docs/errors/frozen.md");
  static_assert(FrozenWithoutSkip<Set>,
                "fg::Frozen knows a loss when its gradients are there already, too late for fg::SkipNonFinite to leave the "
                "batch out: use fg::StopOnNonFinite or fg::IgnoreNonFinite. See docs/errors/frozen.md");
}

}  // namespace fulgurite::detail
