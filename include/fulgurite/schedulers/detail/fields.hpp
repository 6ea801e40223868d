// SPDX-License-Identifier: MIT
// The values that a schedule was made with, in its state: a run that goes on with others would be on another curve.
#pragma once

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/schedulers/momentum_range.hpp>
#include <fulgurite/schedulers/per_group.hpp>
#include <fulgurite/schedulers/schedule_state.hpp>

namespace fulgurite::detail {

// --- a value as numbers, there and back; `take` is false if they are not of this kind ---

template <class T>
concept OneNumber = std::is_arithmetic_v<T> || std::is_enum_v<T>;

template <OneNumber T>
std::vector<double> as_numbers(T value) {
  return {static_cast<double>(value)};
}
template <OneNumber T>
bool take_numbers(const std::vector<double>& numbers, T& value) {
  if (numbers.size() != 1) return false;
  value = static_cast<T>(numbers.front());
  return true;
}

template <OneNumber T>
std::vector<double> as_numbers(const std::vector<T>& values) {
  std::vector<double> numbers;
  for (const T value : values) numbers.push_back(static_cast<double>(value));
  return numbers;
}
template <OneNumber T>
bool take_numbers(const std::vector<double>& numbers, std::vector<T>& values) {
  values.clear();
  for (const double number : numbers) values.push_back(static_cast<T>(number));
  return true;
}

template <OneNumber T, std::size_t N>
std::vector<double> as_numbers(const std::array<T, N>& values) {
  return as_numbers(std::vector<T>(values.begin(), values.end()));
}
template <OneNumber T, std::size_t N>
bool take_numbers(const std::vector<double>& numbers, std::array<T, N>& values) {
  if (numbers.size() != N) return false;
  std::transform(numbers.begin(), numbers.end(), values.begin(), [](double number) { return static_cast<T>(number); });
  return true;
}

template <OneNumber T>
std::vector<double> as_numbers(const std::optional<T>& value) {
  return value ? as_numbers(*value) : std::vector<double>{};
}
template <OneNumber T>
bool take_numbers(const std::vector<double>& numbers, std::optional<T>& value) {
  value.reset();
  return numbers.empty() || take_numbers(numbers, value.emplace());
}

inline std::vector<double> as_numbers(const PerGroup& value) { return value.values(); }
inline PerGroup per_group(const std::vector<double>& numbers) {
  return numbers.size() == 1 ? PerGroup(numbers.front()) : PerGroup(numbers);
}
inline bool take_numbers(const std::vector<double>& numbers, PerGroup& value) {
  if (numbers.empty()) return false;
  value = per_group(numbers);
  return true;
}

/// How many `base` has, then those of `base` and `max`.
inline std::vector<double> as_numbers(const std::optional<MomentumRange>& range) {
  if (!range) return {};
  std::vector<double> numbers{static_cast<double>(range->base.values().size())};
  for (const PerGroup* values : {&range->base, &range->max}) {
    numbers.insert(numbers.end(), values->values().begin(), values->values().end());
  }
  return numbers;
}
inline bool take_numbers(const std::vector<double>& numbers, std::optional<MomentumRange>& range) {
  range.reset();
  if (numbers.empty()) return true;
  const double count = numbers.front();
  if (!(count >= 1.0 && count < static_cast<double>(numbers.size() - 1))) return false;
  const auto middle = numbers.begin() + 1 + static_cast<std::ptrdiff_t>(count);
  range = MomentumRange{.base = per_group({numbers.begin() + 1, middle}), .max = per_group({middle, numbers.end()})};
  return true;
}

/// "0.1", "{10, 20}", "nothing".
inline std::string text_of(const std::vector<double>& numbers) {
  if (numbers.empty()) return "nothing";
  std::string text;
  for (const double number : numbers) text += (text.empty() ? "" : ", ") + text_of(number);
  return numbers.size() == 1 ? text : "{" + text + "}";
}

// --- a schedule's fields ---

/// "_schedulers.2.": where a state has the third part of a sequence or chain.
inline std::string prefix_of_part(std::size_t index) { return "_schedulers." + std::to_string(index) + "."; }

struct AnyField {
  void operator()(const char*, auto&) const {}
};

/// Says its values by `for_each_field(schedule, f)`, which calls f("StepLR.step_size", schedule.step_size), …
template <class Schedule>
concept HasFields = requires(Schedule& schedule) { Schedule::for_each_field(schedule, AnyField{}); };

template <class Schedule>
void save_fields(const Schedule& schedule, ScheduleState& saved) {
  if constexpr (HasFields<Schedule>) {
    Schedule::for_each_field(schedule, [&](const char* name, const auto& value) { saved.set(name, as_numbers(value)); });
  }
}
/// Those of its parts too, each after the part's prefix.
template <class Schedule>
void save_all_fields(const Schedule& schedule, ScheduleState& saved) {
  save_fields(schedule, saved);
  if constexpr (requires { schedule.schedules(); }) {
    std::size_t index = 0;
    const auto save_part = [&](const auto& part) {
      ScheduleState of_part;
      save_all_fields(part, of_part);
      saved.nest(prefix_of_part(index++), of_part);
    };
    std::apply([&](const auto&... part) { (save_part(part), ...); }, schedule.schedules());
  }
}

/// Throws std::invalid_argument if the state was saved with other values. One of an older version has none.
template <class Schedule>
void require_same_fields(const Schedule& schedule, const ScheduleState& saved) {
  if constexpr (HasFields<Schedule>) {
    Schedule::for_each_field(schedule, [&](const char* name, const auto& value) {
      if (!saved.has(name)) return;
      const std::vector<double> own = as_numbers(value);
      const std::vector<double>& other = saved.list(name);
      if (other == own) return;
      throw std::invalid_argument("fulgurite: " + std::string(name) + " is " + text_of(other) + " in the saved state and " +
                                  text_of(own) +
                                  " in the schedule, which would go on along another curve: make the schedule "
                                  "with the saved value, or ask for the saved values (fg::ScheduleValues::taken_over in "
                                  "load_checkpoint, take_over instead of load_state)");
    });
  }
}

/// Throws std::invalid_argument if a state has a value, or a part, that a schedule whose own state is `own` has not. (PyTorch's
/// names, of which a state may have more, have no dot.)
inline void require_same_kind(const ScheduleState& own, const ScheduleState& saved) {
  for (const ScheduleState::Entry& entry : saved.entries()) {
    if (entry.name.find('.') == std::string::npos || own.has(entry.name)) continue;
    throw std::invalid_argument("fulgurite: this schedule state has \"" + entry.name +
                                "\", which the schedule has not: it was saved by another kind of schedule");
  }
}

/// Sets the values of a schedule, and of its parts, to those of a state that has some. Throws std::invalid_argument for ones
/// of another kind, and for others than those that are constants; it may have set others then.
template <class Schedule>
void set_fields(Schedule& schedule, const ScheduleState& saved) {
  if constexpr (HasFields<Schedule>) {
    Schedule::for_each_field(schedule, [&](const char* name, auto& value) {
      if (!saved.has(name)) return;
      if constexpr (std::is_const_v<std::remove_reference_t<decltype(value)>>) {
        const std::vector<double> own = as_numbers(value);
        if (saved.list(name) == own) return;
        throw std::invalid_argument("fulgurite: " + std::string(name) + " is " + text_of(saved.list(name)) +
                                    " in the saved state and " + text_of(own) +
                                    " here, where it is a constant: use a type with the saved value");
      } else {
        if (take_numbers(saved.list(name), value)) return;
        throw std::invalid_argument("fulgurite: " + std::string(name) + " in the saved state is of another kind");
      }
    });
  }
  if constexpr (requires { schedule.schedules(); }) {
    std::size_t index = 0;
    std::apply([&](auto&... part) { (set_fields(part, saved.part(prefix_of_part(index++))), ...); }, schedule.schedules());
  }
}

/// Calls `load()` after setting a schedule's values to those of a state. Throws std::invalid_argument for invalid ones, and
/// whatever `load` throws; the schedule has its own values then.
template <class Schedule, class Load>
void with_fields_of(const ScheduleState& saved, Schedule& schedule, Load load) {
  Schedule taken = schedule;  // no schedule of a function can be assigned
  set_fields(taken, saved);
  require_sensible(taken);
  ScheduleState own;
  save_all_fields(schedule, own);
  set_fields(schedule, saved);
  try {
    load(std::as_const(taken));
  } catch (...) {
    set_fields(schedule, own);
    throw;
  }
}

}  // namespace fulgurite::detail
