// SPDX-License-Identifier: MIT
// From the policies that a trainer was given, in any order, to one policy a slot. The only place that walks the pack.
#pragma once

#include <boost/hana/filter.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/type.hpp>

#include <concepts>
#include <cstddef>
#include <ostream>
#include <type_traits>

#include "accumulation.hpp"
#include "callback.hpp"
#include "clipping.hpp"
#include "conflicts.hpp"
#include "device.hpp"
#include "execution.hpp"
#include "limits.hpp"
#include "non_finite.hpp"
#include "optimization.hpp"
#include "policy.hpp"
#include "precision.hpp"
#include "scheduler_interval.hpp"

namespace fulgurite {

namespace detail {

namespace hana = boost::hana;

// Types alone: every program pays for these lists, and folds over them are cheaper to compile than tuples of Hana.
template <class...>
struct SlotList {};

// The slots that shape the engine, in the order of its template arguments, then those that only carry numbers.
using EngineSlots = SlotList<slots::Optimization, slots::Accumulation, slots::Clipping, slots::SchedulerInterval,
                             slots::Precision, slots::Device, slots::Execution, slots::NonFinite>;
using LimitSlots = SlotList<slots::MaxEpochs, slots::MaxSteps, slots::MaxTime, slots::MinEpochs, slots::MinSteps,
                            slots::LimitBatches, slots::Validation, slots::SanityCheck, slots::FastDevRun, slots::LogEvery>;

template <class Slot, class... Slots>
consteval bool is_among(SlotList<Slots...>) {
  return (std::same_as<Slot, Slots> || ...);
}
template <class Slot>
inline constexpr bool is_single_slot = is_among<Slot>(EngineSlots{}) || is_among<Slot>(LimitSlots{});

template <class Slot>
inline constexpr auto fills = [](auto policy) {
  return hana::bool_c<std::same_as<typename decltype(policy)::type::slot, Slot>>;
};

// T, from the (reference to the) hana::type<T> that Hana's algorithms return.
template <class HanaType>
using type_in = typename std::remove_cvref_t<HanaType>::type;

template <class Slot, class... Given>
inline constexpr std::size_t times_filled = (std::size_t{std::same_as<typename Given::slot, Slot>} + ... + 0);

// The first of the policies that fills a slot, else the slot's fallback.
template <class Slot, class... Given>
struct chosen_policy {
  using type = typename Slot::fallback;
};
template <class Slot, class First, class... Rest>
struct chosen_policy<Slot, First, Rest...>
    : std::conditional_t<std::same_as<typename First::slot, Slot>, std::type_identity<First>, chosen_policy<Slot, Rest...>> {
};

template <class P>
struct plain_policy {
  using type = P;
};
template <auto Value>
struct plain_policy<Fixed<Value>> {
  using type = typename Fixed<Value>::policy;
};

}  // namespace detail

/// A policy whose slot exists.
template <class P>
concept PolicyOfKnownSlot =
    Policy<P> && (detail::is_single_slot<typename P::slot> || std::same_as<typename P::slot, slots::Callback>);

/// A policy that models the concept of its slot. (A callback's hooks are checked where the model's are.)
template <class P>
concept ModelsItsSlot = PolicyOfKnownSlot<P> && P::slot::template accepts<typename detail::plain_policy<P>::type>;

/// No slot that takes one policy was given two.
template <class Slot, class... Given>
concept FilledAtMostOnce = detail::times_filled<Slot, Given...> <= 1;

/// The policies of a trainer, sorted into slots.
template <class... Given>
struct PolicySet {
  /// Whether the user filled a slot.
  template <class Slot>
  static constexpr bool given = detail::times_filled<Slot, Given...> > 0;

  /// What stands in a slot, perhaps as a `Fixed`: the user's policy, else the slot's fallback.
  template <class Slot>
  using chosen = typename detail::chosen_policy<Slot, Given...>::type;

  /// The same without `Fixed`.
  template <class Slot>
  using policy = typename detail::plain_policy<chosen<Slot>>::type;

  /// hana::tuple of types: the callbacks, in the order given.
  static constexpr auto callbacks = detail::hana::filter(detail::hana::tuple_t<Given...>, detail::fills<slots::Callback>);

};

namespace detail {

template <class... Given>
concept EachWorksAlone = ((ModelsItsSlot<Given> && fixed_sensibly<Given>) && ...);

template <class... Given, class... Slots>
consteval bool filled_once(SlotList<Slots...>) {
  return (FilledAtMostOnce<Slots, Given...> && ...);
}
template <class... Given>
inline constexpr bool slots_filled_once = filled_once<Given...>(EngineSlots{}) && filled_once<Given...>(LimitSlots{});

template <class... Given>
consteval bool policies_work() {
  if constexpr (!EachWorksAlone<Given...>) {
    return false;
  } else if constexpr (!slots_filled_once<Given...>) {
    return false;
  } else {
    return Compatible<PolicySet<Given...>>;
  }
}

template <class P>
consteval void require_policy() {
  if constexpr (!Policy<P>) {
    static_assert(Policy<P>,
                  "fg::Trainer was given something that is no policy: a policy is a copyable type that names its slot, "
                  "`using slot = fg::slots::Clipping;`. See docs/errors/no-policy.md");
  } else if constexpr (!PolicyOfKnownSlot<P>) {
    static_assert(PolicyOfKnownSlot<P>,
                  "fg::Trainer was given a policy for a slot that does not exist: use one of fg::slots. "
                  "See docs/errors/no-policy.md");
  } else if constexpr (!fixed_sensibly<P>) {
    static_assert(fixed_sensibly<P>,
                  "fg::Fixed was given a policy whose values make no sense: its problem() says why. "
                  "See docs/errors/policy-value.md");
  } else {
    static_assert(ModelsItsSlot<P>,
                  "fg::Trainer was given a policy that does not model the concept of its slot: the concept stands in the "
                  "slot's header under fulgurite/policies/. See docs/errors/policy-concept.md");
  }
}

template <class Slot, class... Given>
consteval void require_filled_at_most_once() {
  static_assert(FilledAtMostOnce<Slot, Given...>,
                "fg::Trainer was given two policies for one slot: keep one of them. "
                "See docs/errors/two-policies-for-one-slot.md");
}

template <class... Given, class... Slots>
consteval void require_filled_at_most_once(SlotList<Slots...>) {
  (require_filled_at_most_once<Slots, Given...>(), ...);
}

/// The sentences for what `policies_work` found: each misuse prints its own, once.
template <class... Given>
consteval void require_policies() {
  (require_policy<Given>(), ...);
  if constexpr (EachWorksAlone<Given...>) {
    require_filled_at_most_once<Given...>(EngineSlots{});
    require_filled_at_most_once<Given...>(LimitSlots{});
    if constexpr (slots_filled_once<Given...>) require_compatible<PolicySet<Given...>>();
  }
}

/// The value of type `P` among `values`, else a `P` of default values.
template <class P, class... Values>
constexpr P pick(const Values&... values) {
  if constexpr ((std::same_as<P, Values> || ...)) {
    const P* found = nullptr;
    const auto look = [&found]<class Value>(const Value& value) {
      if constexpr (std::same_as<P, Value>) found = &value;
    };
    (look(values), ...);
    return *found;
  } else {
    return P{};
  }
}

}  // namespace detail

/// The policies that shape the engine, one a slot, by name. Keyed in slot order and without limits, so that equal
/// programs are instantiated once, however their policies were ordered.
template <class Optimization, class Accumulation, class Clipping, class SchedulerInterval, class Precision,
          class Device, class Execution, class NonFinite>
class Policies {
 public:
  template <class... Values>
  constexpr explicit Policies(const Values&... values)
      : accumulation_(detail::pick<Accumulation>(values...)),
        clipping_(detail::pick<Clipping>(values...)),
        scheduler_interval_(detail::pick<SchedulerInterval>(values...)),
        precision_(detail::pick<Precision>(values...)),
        device_(detail::pick<Device>(values...)),
        execution_(detail::pick<Execution>(values...)),
        non_finite_(detail::pick<NonFinite>(values...)) {
    detail::require_sensible(accumulation());
    detail::require_sensible(clipping());
    detail::require_sensible(scheduler_interval());
    detail::require_sensible(precision());
    detail::require_sensible(device());
    detail::require_sensible(execution());
    detail::require_sensible(non_finite());
  }

  static constexpr bool manual = std::same_as<Optimization, ManualOptimization>;

  constexpr const auto& accumulation() const { return value_of(accumulation_); }
  constexpr const auto& clipping() const { return value_of(clipping_); }
  constexpr const auto& scheduler_interval() const { return value_of(scheduler_interval_); }
  /// Only for an interval that is not `Fixed`.
  constexpr void set_scheduler_interval(const SchedulerInterval& interval) { scheduler_interval_ = interval; }
  constexpr const auto& precision() const { return value_of(precision_); }
  constexpr const auto& device() const { return value_of(device_); }
  constexpr const auto& execution() const { return value_of(execution_); }
  constexpr const auto& non_finite() const { return value_of(non_finite_); }

  friend std::ostream& operator<<(std::ostream& out, const Policies& policies) {
    return out << Optimization{} << ", " << policies.accumulation_ << ", " << policies.clipping_ << ", "
               << policies.scheduler_interval_ << ", " << policies.precision_ << ", " << policies.device_ << ", "
               << policies.execution_ << ", " << policies.non_finite_;
  }

 private:
  [[no_unique_address]] Accumulation accumulation_;
  [[no_unique_address]] Clipping clipping_;
  [[no_unique_address]] SchedulerInterval scheduler_interval_;
  [[no_unique_address]] Precision precision_;
  [[no_unique_address]] Device device_;
  [[no_unique_address]] Execution execution_;
  [[no_unique_address]] NonFinite non_finite_;
};

namespace detail {

template <class Set, class Slots>
struct policies_in_slots;
template <class Set, class... Slots>
struct policies_in_slots<Set, SlotList<Slots...>> {
  using type = Policies<typename Set::template chosen<Slots>...>;
};

template <class... Given>
using policies_of = typename policies_in_slots<PolicySet<Given...>, EngineSlots>::type;

}  // namespace detail

}  // namespace fulgurite
