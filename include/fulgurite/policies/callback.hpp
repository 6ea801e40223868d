// SPDX-License-Identifier: MIT
// What a callback is: something beside the model that has hooks too. Hooks of callbacks run before the model's. A callback
// with `static constexpr bool follows_metrics = true;` runs after the model and all other callbacks where something ends and
// they may still log: at on_train_batch_end, on_validation_end and on_train_epoch_end.
#pragma once

#include <concepts>

namespace fulgurite {

namespace slots {
struct Callback;
}

/// A copyable type with `using slot = fg::slots::Callback;` and at least one hook of `hooks.hpp`, in the model's shape.
/// Any number of callbacks may be given to a trainer, among its policies.
template <class C>
concept Callback = std::copyable<C> && requires { requires std::same_as<typename C::slot, slots::Callback>; };

/// A callback whose hooks at ends come after the model's.
template <class C>
concept FollowsMetrics = requires { requires C::follows_metrics; };

namespace slots {
struct Callback {
  template <class C>
  static constexpr bool accepts = true;  // that it has a hook is checked in loop/checks.hpp
};
}  // namespace slots

}  // namespace fulgurite
