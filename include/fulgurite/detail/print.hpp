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

/// Prints a range as `{1, 2, 3}`.
template <class Range>
struct Listed {
  const Range& range;

  friend std::ostream& operator<<(std::ostream& out, const Listed& listed) {
    const char* separator = "";
    out << '{';
    for (const auto& value : listed.range) {
      out << separator << value;
      separator = ", ";
    }
    return out << '}';
  }
};
template <class Range>
Listed(const Range&) -> Listed<Range>;

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
