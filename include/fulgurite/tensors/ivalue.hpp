// SPDX-License-Identifier: MIT
// Values of C++ as the IValues of LibTorch's pickles, there and back, in the types that Python gives them.
#pragma once

#include <ATen/core/Dict.h>
#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace fulgurite::detail {

inline c10::impl::GenericDict new_dict(const c10::TypePtr& key) {
  return c10::impl::GenericDict(key, c10::AnyType::get());
}
inline c10::impl::GenericList new_list() { return c10::impl::GenericList(c10::AnyType::get()); }

/// The entry `key` of a dictionary; std::nullopt if there is none.
inline std::optional<c10::IValue> find(const c10::IValue& dict, const c10::IValue& key) {
  if (!dict.isGenericDict()) return std::nullopt;
  const auto entries = dict.toGenericDict();
  const auto found = entries.find(key);
  return found == entries.end() ? std::nullopt : std::optional<c10::IValue>(found->value());
}

inline c10::IValue to_ivalue(double value) { return value; }
inline c10::IValue to_ivalue(bool value) { return value; }
inline c10::IValue to_ivalue(std::int64_t value) { return value; }
template <class T>
c10::IValue to_ivalue(const std::optional<T>& value) {
  return value ? to_ivalue(*value) : c10::IValue();
}
template <std::size_t N>
c10::IValue to_ivalue(const std::array<double, N>& values) {
  return c10::ivalue::Tuple::create(std::vector<c10::IValue>(values.begin(), values.end()));
}

// Python writes whole numbers where it can, and a learning rate may be a tensor.
inline void from_ivalue(const c10::IValue& from, double& to) {
  if (from.isTensor()) {
    to = from.toTensor().item<double>();
  } else {
    to = from.isInt() ? static_cast<double>(from.toInt()) : from.toDouble();
  }
}
inline void from_ivalue(const c10::IValue& from, bool& to) { to = from.toBool(); }
inline void from_ivalue(const c10::IValue& from, std::int64_t& to) { to = from.toInt(); }
template <class T>
void from_ivalue(const c10::IValue& from, std::optional<T>& to) {
  if (from.isNone()) return to.reset();
  from_ivalue(from, to.emplace());
}

/// The values of a Python tuple or list; empty for any other value.
inline std::vector<c10::IValue> elements(const c10::IValue& sequence) {
  if (sequence.isTuple()) return sequence.toTupleRef().elements().vec();
  if (!sequence.isList()) return {};
  const auto list = sequence.toList();
  return {list.begin(), list.end()};
}

template <std::size_t N>
void from_ivalue(const c10::IValue& from, std::array<double, N>& to) {
  const auto values = elements(from);
  for (std::size_t i = 0; i < N; ++i) from_ivalue(values.at(i), to[i]);
}

}  // namespace fulgurite::detail
