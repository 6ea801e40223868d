// SPDX-License-Identifier: MIT
// The printed form of policies and options: `ClipNorm{.max = 0.5, .norm_type = 2}`.
#pragma once

#include <ostream>
#include <string_view>

namespace fulgurite::detail {

template <class Value>
struct PrintedField {
  std::string_view name;
  const Value& value;
};

template <class Value>
constexpr PrintedField<Value> field(std::string_view name, const Value& value) {
  return {name, value};
}

template <class... Values>
std::ostream& print(std::ostream& out, std::string_view type, PrintedField<Values>... fields) {
  out << type;
  if constexpr (sizeof...(fields) > 0) {
    std::string_view separator = "{";
    ((out << separator << '.' << fields.name << " = " << fields.value, separator = ", "), ...);
    out << '}';
  }
  return out;
}

}  // namespace fulgurite::detail
