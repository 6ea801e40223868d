// SPDX-License-Identifier: MIT
// Policies that cannot work together, each pair with its own sentence. Where PyTorch Lightning ignores one of the two
// silently, we refuse the pair.
#pragma once

#include <concepts>

#include "accumulation.hpp"
#include "clipping.hpp"
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
concept Compatible = ManualWithoutClipping<Set> && ManualWithoutAccumulation<Set> && ManualWithoutInterval<Set>;

template <class Set>
consteval void require_compatible() {
  static_assert(ManualWithoutClipping<Set>,
                "fg::ManualOptimization cannot go together with a clipping policy: call "
                "step.clip_gradients(optimizer, fg::ClipNorm{...}) in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutAccumulation<Set>,
                "fg::ManualOptimization cannot go together with an accumulation policy: call optimizer.step() every n-th "
                "batch in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutInterval<Set>,
                "fg::ManualOptimization cannot go together with a scheduler interval: call step.lr_schedulers().step() "
                "in training_step. See docs/errors/manual-optimization.md");
}

}  // namespace fulgurite::detail
