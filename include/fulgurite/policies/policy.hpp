// SPDX-License-Identifier: MIT
// What a policy is: a small value that names the slot it fills. `policy_set.hpp` finds it there.
#pragma once

#include <concepts>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace fulgurite {

/// A policy is a copyable value with `using slot = fg::slots::…;`. A type of your own becomes one by naming its slot and
/// modelling the concept of that slot, which stands in the slot's header: the built-in policies do no more than that.
template <class P>
concept Policy = std::copyable<P> && requires { typename P::slot; };

/// `Policy` for one slot.
template <class P, class Slot>
concept PolicyFor = Policy<P> && std::same_as<typename P::slot, Slot>;

/// A policy that can tell that its own values make no sense: `problem()` is nullptr or a sentence that names the fix.
template <class P>
concept SelfChecking = requires(const P& policy) {
  { policy.problem() } -> std::convertible_to<const char*>;
};

namespace detail {

template <SelfChecking P>
constexpr bool values_make_sense(const P& policy) {
  return policy.problem() == nullptr;
}

template <class P>
constexpr bool values_make_sense(const P&) {
  return true;
}

/// Throws std::invalid_argument for values that make no sense.
template <class P>
constexpr void require_sensible(const P& policy) {
  if constexpr (SelfChecking<P>) {
    if (const char* problem = policy.problem()) throw std::invalid_argument(std::string("fulgurite: ") + problem);
  }
}

}  // namespace detail

/// A policy whose values are part of its type, so that template arguments alone choose a trainer:
/// `fg::Trainer<Model, fg::Fixed<fg::ClipNorm{.max = 0.5}>>`. The trainer refuses values that make no sense when it is
/// compiled.
template <auto Value>
  requires Policy<std::remove_const_t<decltype(Value)>>
struct Fixed {
  using policy = std::remove_const_t<decltype(Value)>;
  using slot = typename policy::slot;
  static constexpr policy value = Value;

  friend constexpr bool operator==(Fixed, Fixed) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Fixed) { return out << "Fixed<" << value << '>'; }
};

/// The values of a policy, whether they are in its type or not.
template <class P>
constexpr const P& value_of(const P& policy) {
  return policy;
}

template <auto Value>
constexpr const auto& value_of(const Fixed<Value>&) {
  return Fixed<Value>::value;
}

/// False for a `Fixed` whose values make no sense. Values that are not in a type are checked when they are known.
template <class P>
inline constexpr bool fixed_sensibly = true;
template <auto Value>
inline constexpr bool fixed_sensibly<Fixed<Value>> = detail::values_make_sense(Value);

}  // namespace fulgurite
