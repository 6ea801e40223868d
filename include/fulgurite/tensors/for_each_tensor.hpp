// SPDX-License-Identifier: MIT
// The tensors inside of a batch, whatever its type: what is moved to a device, converted and checked.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/data/example.h>

#include <array>
#include <concepts>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

namespace fulgurite {

namespace detail {

template <class T>
struct tensors_in;

template <class T>
using tensors_in_t = tensors_in<std::remove_cv_t<T>>;

struct IgnoreTensor {
  void operator()(const at::Tensor&) const {}
};

}  // namespace detail

/// A type whose tensors can be found: tensors, fg::Example, std::pair, tuple, array and vector of such, numbers, and a
/// type of your own with `template <class F> void for_each_tensor(F&& f)` (const and not) that calls f for each.
template <class T>
concept HoldsTensors = requires { requires detail::tensors_in_t<T>::known; };

/// Calls f(tensor) for each tensor of `value`, in order.
template <HoldsTensors T, class F>
void for_each_tensor(T& value, F&& f) {
  detail::tensors_in_t<T>::visit(value, f);
}

namespace detail {

template <class T>
struct tensors_in {
  static constexpr bool own = requires(T& value, IgnoreTensor f) { value.for_each_tensor(f); };
  static constexpr bool known = own || std::is_arithmetic_v<T> || std::is_enum_v<T>;

  template <class Value, class F>
  static void visit(Value& value, F& f) {
    if constexpr (own) value.for_each_tensor(f);
  }
};

template <>
struct tensors_in<at::Tensor> {
  static constexpr bool known = true;
  template <class Value, class F>
  static void visit(Value& value, F& f) {
    f(value);
  }
};

template <>
struct tensors_in<torch::data::example::NoTarget> {
  static constexpr bool known = true;
  template <class Value, class F>
  static void visit(Value&, F&) {}
};

template <class Data, class Target>
struct tensors_in<torch::data::Example<Data, Target>> {
  static constexpr bool known = HoldsTensors<Data> && HoldsTensors<Target>;
  template <class Value, class F>
  static void visit(Value& value, F& f) {
    for_each_tensor(value.data, f);
    if constexpr (requires { value.target; }) for_each_tensor(value.target, f);
  }
};

template <class... Elements>
struct tensors_in_tuple {
  static constexpr bool known = (HoldsTensors<Elements> && ...);
  template <class Value, class F>
  static void visit(Value& value, F& f) {
    std::apply([&](auto&... element) { (for_each_tensor(element, f), ...); }, value);
  }
};
template <class... Elements>
struct tensors_in<std::tuple<Elements...>> : tensors_in_tuple<Elements...> {};
template <class A, class B>
struct tensors_in<std::pair<A, B>> : tensors_in_tuple<A, B> {};

template <class Element>
struct tensors_in_sequence {
  static constexpr bool known = HoldsTensors<Element>;
  template <class Value, class F>
  static void visit(Value& value, F& f) {
    for (auto& element : value) for_each_tensor(element, f);
  }
};
template <class Element>
struct tensors_in<std::vector<Element>> : tensors_in_sequence<Element> {};
template <class Element, std::size_t N>
struct tensors_in<std::array<Element, N>> : tensors_in_sequence<Element> {};

/// Whether a batch is nothing but tensors. (A type with its own for_each_tensor is taken at its word.)
template <class T>
inline constexpr bool only_tensors = HoldsTensors<T> && !std::is_arithmetic_v<T> && !std::is_enum_v<T>;
template <class Data, class Target>
inline constexpr bool only_tensors<torch::data::Example<Data, Target>> = only_tensors<Data> && only_tensors<Target>;
template <class... Elements>
inline constexpr bool only_tensors<std::tuple<Elements...>> = (only_tensors<Elements> && ...);
template <class A, class B>
inline constexpr bool only_tensors<std::pair<A, B>> = only_tensors<A> && only_tensors<B>;
template <class Element>
inline constexpr bool only_tensors<std::vector<Element>> = only_tensors<Element>;
template <class Element, std::size_t N>
inline constexpr bool only_tensors<std::array<Element, N>> = only_tensors<Element>;

}  // namespace detail

}  // namespace fulgurite
