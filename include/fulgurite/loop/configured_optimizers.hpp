// SPDX-License-Identifier: MIT
// What configure_optimizers returns: one optimizer or several.
#pragma once

#include <boost/hana/tuple.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

#include "configured_optimizer.hpp"

namespace fulgurite {

/// Several optimizers with their schedules, in the order in which they step. Made by `fg::optimizers(...)`.
template <class... Configured>
struct ConfiguredOptimizers {
  static constexpr std::size_t count = sizeof...(Configured);

  template <std::size_t I>
  using at = std::tuple_element_t<I, std::tuple<Configured...>>;

  boost::hana::tuple<Configured...> all;
};

/// `return fg::optimizers(fg::optimizer(fg::Adam(g, {.lr = 2e-4})), fg::optimizer(fg::Adam(d, {.lr = 2e-4})));`. Each is an
/// `fg::optimizer(...)` with what was added to it, or an optimizer alone.
template <class... Given>
auto optimizers(Given... given) {
  static_assert(sizeof...(Given) > 0,
                "fg::optimizers() was given no optimizer: give it one or more. "
                "See docs/errors/configure-optimizers-result.md");
  return ConfiguredOptimizers<decltype(detail::configured(std::move(given)))...>{
      {detail::configured(std::move(given))...}};
}

namespace detail {

template <class T>
inline constexpr bool are_configured = false;
template <class... Configured>
inline constexpr bool are_configured<ConfiguredOptimizers<Configured...>> =
    sizeof...(Configured) > 0 && (is_configured<Configured> && ...);

/// fg::optimizer(...) or fg::optimizers(...) has said what is wrong with it.
template <class T>
inline constexpr bool refused_already = std::is_same_v<T, NoOptimizer>;
template <class... Configured>
inline constexpr bool refused_already<ConfiguredOptimizers<Configured...>> =
    !are_configured<ConfiguredOptimizers<Configured...>>;

/// What the optimizers of a model are together.
template <class Configuration>
struct OptimizerFacts;
template <class First, class... Rest>
struct OptimizerFacts<ConfiguredOptimizers<First, Rest...>> {
  using FirstOptimizer = typename First::optimizer_type;
  static constexpr bool reevaluate = NeedsClosure<FirstOptimizer> || (NeedsClosure<typename Rest::optimizer_type> || ...);
  static constexpr bool follow_metrics = First::follows_metrics || (Rest::follows_metrics || ...);
  static constexpr bool have_schedules = First::schedule_count > 0 || ((Rest::schedule_count > 0) || ...);
  static constexpr bool take_turns = First::takes_turns || (Rest::takes_turns || ...);
};

/// What configure_optimizers returned, as a configuration of all optimizers.
template <class Returned>
auto all_configured(Returned returned) {
  if constexpr (are_configured<Returned>) {
    return returned;
  } else {
    return fulgurite::optimizers(std::move(returned));
  }
}

}  // namespace detail

}  // namespace fulgurite
