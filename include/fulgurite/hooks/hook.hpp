// SPDX-License-Identifier: MIT
// How a hook is found: by its name first, whatever its shape, then by its shape. A member that carries a hook's name and
// cannot be called as that hook is an error and never "no hook"; a hook that is absent costs nothing.
#pragma once

#include <type_traits>

#include <fulgurite/detail/inline.hpp>

namespace fulgurite::hooks {

/// The host has a member of the hook's name.
template <class Hook, class Host>
inline constexpr bool present = Hook::template named<std::remove_cv_t<Host>>;

/// Calls the hook of one host if it has it. Returns what the hook returns; nothing if there is none.
template <class Hook, class Host, class... Arguments>
FULGURITE_INLINE constexpr decltype(auto) call(Host& host, Arguments&... arguments) {
  if constexpr (present<Hook, Host>) {
    constexpr bool fits = Hook::template fits<Host, Arguments...>;
    Hook::template require_shape<Host, fits>();
    if constexpr (fits) return Hook::call(host, arguments...);
  }
}

}  // namespace fulgurite::hooks
