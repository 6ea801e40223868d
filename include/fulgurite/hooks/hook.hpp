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

/// What a hook that returns a guard gave for one host after the other: they end in the opposite order.
struct NoGuards {
  constexpr ~NoGuards() {}  // user-provided, so that guards that do nothing are no unused variable
};
template <class First, class Rest>
struct Guards {
  First first;
  Rest rest;
};

/// Calls the hook of every host that has it, in order, and keeps what they return.
template <class Hook, class Argument>
constexpr NoGuards guards_of(Argument&) {
  return {};
}
template <class Hook, class Argument, class Host, class... Hosts>
constexpr auto guards_of(Argument& argument, Host& host, Hosts&... hosts) {
  if constexpr (!present<Hook, Host>) {
    return guards_of<Hook>(argument, hosts...);
  } else {
    using First = decltype(hooks::call<Hook>(host, argument));
    if constexpr (std::is_void_v<First>) {
      hooks::call<Hook>(host, argument);
      return guards_of<Hook>(argument, hosts...);
    } else {
      using Rest = decltype(guards_of<Hook>(argument, hosts...));
      return Guards<First, Rest>{hooks::call<Hook>(host, argument), guards_of<Hook>(argument, hosts...)};
    }
  }
}

}  // namespace fulgurite::hooks
