// SPDX-License-Identifier: MIT
// Defines FULGURITE_HOOK. Included, without a guard, by every header that declares hooks; each undefines it at its end.

// Declares a hook called `name`, to be written as the string `shape` says. Only a macro can turn one word into a member
// to look for, a call and a sentence.
//
// `named<Host>`: inheriting the host beside a type with a member of that name makes the name ambiguous if the host has
// it too, in whatever shape, private or inherited. (A final host cannot be inherited: loop/checks.hpp refuses those.)
#define FULGURITE_HOOK(name, shape)                                                                             \
  struct name##_hook {                                                                                          \
    struct Name {                                                                                               \
      void name();                                                                                              \
    };                                                                                                          \
    template <class Host>                                                                                       \
    struct Probe : Host, Name {};                                                                               \
    template <class Host>                                                                                       \
    static constexpr bool named = !requires { &Probe<Host>::name; };                                            \
    template <class Host, class... Arguments>                                                                   \
    static constexpr bool fits = requires(Host& host, Arguments&... arguments) { host.name(arguments...); };    \
    template <class Host, class... Arguments>                                                                   \
    FULGURITE_INLINE static constexpr decltype(auto) call(Host& host, Arguments&... arguments) {                \
      return host.name(arguments...);                                                                           \
    }                                                                                                           \
    template <class Host, bool Fits>                                                                            \
    static consteval void require_shape() {                                                                     \
      static_assert(Fits, "the hook " #name " has the wrong shape: write `" shape "`. See docs/errors/hook-shape.md"); \
    }                                                                                                           \
  }
