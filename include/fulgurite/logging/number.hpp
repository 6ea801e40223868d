// SPDX-License-Identifier: MIT
// A number to be logged, from whatever carries one.
#pragma once

#include <concepts>
#include <cstddef>
#include <limits>
#include <memory>
#include <span>
#include <type_traits>

namespace fulgurite {

/// How a value becomes a number to log: `static double read(const T&)`. Specialised for tensors in
/// tensors/number.hpp. A type whose values may lie on a device, where reading one waits, also has what
/// `ReadLater` asks for.
template <class T>
struct to_number {};

template <class T>
  requires std::is_arithmetic_v<T>
struct to_number<T> {
  static constexpr double read(T value) { return static_cast<double>(value); }
};

/// What step.log takes.
template <class T>
concept Loggable = requires(const T& value) {
  { to_number<T>::read(value) } -> std::same_as<double>;
};

/// Its values can be kept without waiting for them, and many read at once: `is_far(value)` says that reading
/// it waits, `keep(value)` is a copy that nothing overwrites, `read(kept, values)` reads all that were kept
/// in one transfer.
template <class T>
concept ReadLater = Loggable<T> && requires(const T& value, std::span<const T> kept, double* values) {
  { to_number<T>::is_far(value) } -> std::convertible_to<bool>;
  { to_number<T>::keep(value) } -> std::same_as<T>;
  to_number<T>::read(kept, values);
};

namespace detail {

/// A kept value of some type.
using KeptNumber = std::shared_ptr<const void>;

/// What can be done with values of one type once nobody knows the type any more. One object a type.
struct NumberKind {
  double (*read)(const void* source);
  KeptNumber (*keep)(const void* source);  // these two: null where nothing lies on a device
  void (*read_all)(std::span<const KeptNumber> kept, double* values);
};

template <class T>
struct NumberFunctions {
  static double read(const void* source) { return to_number<T>::read(*static_cast<const T*>(source)); }
  static KeptNumber keep(const void* source) {
    return std::make_shared<const T>(to_number<T>::keep(*static_cast<const T*>(source)));
  }
  static void read_all(std::span<const KeptNumber> kept, double* values) {
    std::unique_ptr<T[]> all(new T[kept.size()]);
    for (std::size_t i = 0; i < kept.size(); ++i) all[i] = *static_cast<const T*>(kept[i].get());
    to_number<T>::read(std::span<const T>(all.get(), kept.size()), values);
  }
};

template <class T>
constexpr NumberKind number_kind() {
  using Functions = NumberFunctions<T>;
  if constexpr (ReadLater<T>) {
    return {&Functions::read, &Functions::keep, &Functions::read_all};
  } else {
    return {&Functions::read, nullptr, nullptr};
  }
}

template <class T>
inline constexpr NumberKind kind_of_number = number_kind<T>();

}  // namespace detail

/// A logged number, from an arithmetic value or a tensor of one element. What lies on the host is read at
/// once; of what lies on a device it only remembers where, so it is to be used while that lives: in the call
/// that it is passed to.
class Number {
 public:
  template <class T>
  constexpr Number(const T& value) {  // NOLINT: implicit, for log_dict's braces
    static_assert(Loggable<T>,
                  "step.log takes a number or a tensor with one element: this is neither. See "
                  "docs/errors/log-value.md");
    if constexpr (Loggable<T>) {
      source_ = &value;
      kind_ = &detail::kind_of_number<T>;
      if constexpr (ReadLater<T>) is_far_ = to_number<T>::is_far(value);
      if (!is_far_) value_ = to_number<T>::read(value);
    }
  }

  /// It lies on a device: reading it waits.
  constexpr bool is_far() const { return is_far_; }
  /// The value; waits for one that is far.
  constexpr double value() const { return is_far_ ? kind_->read(source_) : value_; }

  /// What it was made from, if that was a `T`.
  template <class T>
  const T* source() const {
    return kind_ == &detail::kind_of_number<T> ? static_cast<const T*>(source_) : nullptr;
  }

  /// For one that is far: a copy to be read later, and how.
  detail::KeptNumber keep() const { return kind_->keep(source_); }
  const detail::NumberKind* kind() const { return kind_; }

 private:
  double value_ = std::numeric_limits<double>::quiet_NaN();
  const void* source_ = nullptr;
  const detail::NumberKind* kind_ = nullptr;
  bool is_far_ = false;
};

}  // namespace fulgurite
