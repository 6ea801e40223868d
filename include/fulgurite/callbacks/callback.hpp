// SPDX-License-Identifier: MIT
// What a callback is: something beside the model that has hooks too. Hooks of callbacks run before the model's.
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

namespace slots {
struct Callback {
  template <class C>
  static constexpr bool accepts = true;  // that it has a hook is checked in loop/checks.hpp
};
}  // namespace slots

}  // namespace fulgurite
