// SPDX-License-Identifier: MIT
// Many examples become one batch: tensors are stacked, numbers become a tensor, what is made of them follows.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>

#include <fulgurite/tensors/shape.hpp>
#include "example.hpp"

namespace fulgurite::data {

namespace detail {

void collate() = delete;  // so that the unqualified calls below find nothing but a user's own, by argument

template <class Value>
concept HasOwnCollate = requires(std::span<const Value> items) { collate(items); };

// What a number becomes in a tensor, as in PyTorch's default_collate: integers (labels, indices) are int64.
template <class Value>
using Stored = std::conditional_t<std::integral<Value> && !std::same_as<Value, bool>, std::int64_t, Value>;

template <class Value>
concept Number = std::integral<Value> || std::same_as<Value, float> || std::same_as<Value, double>;

template <class Value>
inline constexpr bool is_example = false;
template <class Data, class Target>
inline constexpr bool is_example<torch::data::Example<Data, Target>> = true;

template <class Value>
inline constexpr bool is_collatable =
    std::same_as<Value, at::Tensor> || Number<Value> || HasOwnCollate<Value>;
template <class Data, class Target>
inline constexpr bool is_collatable<torch::data::Example<Data, Target>> =
    is_collatable<Data> && is_collatable<Target>;
template <class Data>
inline constexpr bool is_collatable<torch::data::Example<Data, void>> = is_collatable<Data>;
template <class First, class Second>
inline constexpr bool is_collatable<std::pair<First, Second>> = is_collatable<First> && is_collatable<Second>;
template <class... Fields>
inline constexpr bool is_collatable<std::tuple<Fields...>> = (is_collatable<Fields> && ...);

template <class Projection, class Item>
using Projected = std::remove_cvref_t<std::invoke_result_t<Projection&, const Item&>>;

struct Collate {
  /// `items` as one batch; with `projection` (a member, a function), what it makes of each of them.
  template <class Item, class Projection = std::identity>
    requires is_collatable<Projected<Projection, Item>>
  auto operator()(std::span<const Item> items, Projection projection = {}) const {
    using Value = Projected<Projection, Item>;
    if constexpr (HasOwnCollate<Value>) {
      const auto values = each(items, projection);
      return collate(std::span<const Value>(values));
    } else if constexpr (std::same_as<Value, at::Tensor>) {
      return stacked(each(items, projection));
    } else if constexpr (Number<Value>) {
      using Element = Stored<Value>;
      at::Tensor batch =
          at::empty({static_cast<std::int64_t>(items.size())}, c10::CppTypeToScalarType<Element>::value);
      auto* out = batch.template data_ptr<Element>();
      for (const Item& item : items) *out++ = static_cast<Element>(std::invoke(projection, item));
      return batch;
    } else if constexpr (is_example<Value>) {
      auto data = (*this)(items, [&](const Item& item) { return std::invoke(projection, item).data; });
      if constexpr (std::is_void_v<typename Value::TargetType>) {
        return torch::data::Example<decltype(data), void>(std::move(data));
      } else {
        auto target = (*this)(items, [&](const Item& item) { return std::invoke(projection, item).target; });
        return torch::data::Example<decltype(data), decltype(target)>(std::move(data), std::move(target));
      }
    } else {
      return fields(items, projection, std::make_index_sequence<std::tuple_size_v<Value>>());
    }
  }

 private:
  static at::Tensor stacked(const std::vector<at::Tensor>& examples) {
    for (std::size_t i = 0; i < examples.size(); ++i) {
      if (!examples[i].defined()) refuse("the tensor of example " + std::to_string(i) + " is undefined");
      if (examples[i].sizes().equals(examples.front().sizes())) continue;
      refuse("the tensor of example " + std::to_string(i) + " is " + fulgurite::detail::shape_of(examples[i]) +
             ", and that of example 0 " + fulgurite::detail::shape_of(examples.front()) +
             ": bring them to one shape, or write a collate for their type");
    }
    return at::stack(examples);
  }
  [[noreturn]] static void refuse(const std::string& problem) {
    throw std::invalid_argument("fulgurite: the examples of a batch do not fit together: " + problem);
  }

  template <class Item, class Projection>
  static auto each(std::span<const Item> items, Projection& projection) {
    std::vector<Projected<Projection, Item>> values;
    values.reserve(items.size());
    for (const Item& item : items) values.push_back(std::invoke(projection, item));
    return values;
  }

  template <class Item, class Projection, std::size_t... I>
  auto fields(std::span<const Item> items, Projection& projection, std::index_sequence<I...>) const {
    return std::tuple(
        (*this)(items, [&](const Item& item) { return std::get<I>(std::invoke(projection, item)); })...);
  }
};

}  // namespace detail

/// What `collate` can make a batch of.
template <class Value>
concept Collatable = detail::is_collatable<Value>;

/// Makes one batch of the examples in `items` (a `std::span<const T>`), element by element of a
/// - `Tensor`: stacked along a new first dimension; all must have one shape (else std::invalid_argument),
/// - number: a tensor `[n]`, int64 for integers, bool, float32 and float64 for themselves,
/// - `Example`: an `Example`; `std::pair` and `std::tuple`: a `std::tuple` of batches.
///
/// Examples of a type of one's own need a function beside it, found by argument-dependent lookup:
///
///     PoseBatch collate(std::span<const Pose> poses) {
///       return {fg::data::collate(poses, &Pose::image), fg::data::collate(poses, &Pose::angle)};
///     }
inline constexpr detail::Collate collate{};

}  // namespace fulgurite::data
