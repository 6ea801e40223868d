// SPDX-License-Identifier: MIT
// The number formats of tensors under the names that torch.save gives them.
#pragma once

#include <c10/core/ScalarType.h>

#include <array>
#include <string_view>

namespace fulgurite::detail {

struct NumberFormat {
  at::ScalarType type;
  std::string_view name;     ///< torch.float32
  std::string_view storage;  ///< torch.FloatStorage; empty if Python has none, and files name torch.UntypedStorage
};

inline constexpr std::array number_formats{
    NumberFormat{at::kFloat, "float32", "FloatStorage"},
    NumberFormat{at::kDouble, "float64", "DoubleStorage"},
    NumberFormat{at::kHalf, "float16", "HalfStorage"},
    NumberFormat{at::kBFloat16, "bfloat16", "BFloat16Storage"},
    NumberFormat{at::kLong, "int64", "LongStorage"},
    NumberFormat{at::kInt, "int32", "IntStorage"},
    NumberFormat{at::kShort, "int16", "ShortStorage"},
    NumberFormat{at::kChar, "int8", "CharStorage"},
    NumberFormat{at::kByte, "uint8", "ByteStorage"},
    NumberFormat{at::kBool, "bool", "BoolStorage"},
    NumberFormat{at::kComplexFloat, "complex64", "ComplexFloatStorage"},
    NumberFormat{at::kComplexDouble, "complex128", "ComplexDoubleStorage"},
    NumberFormat{at::kComplexHalf, "complex32", ""},
    NumberFormat{at::kUInt16, "uint16", ""},
    NumberFormat{at::kUInt32, "uint32", ""},
    NumberFormat{at::kUInt64, "uint64", ""},
    NumberFormat{at::kFloat8_e5m2, "float8_e5m2", ""},
    NumberFormat{at::kFloat8_e4m3fn, "float8_e4m3fn", ""},
    NumberFormat{at::kFloat8_e5m2fnuz, "float8_e5m2fnuz", ""},
    NumberFormat{at::kFloat8_e4m3fnuz, "float8_e4m3fnuz", ""},
};

/// Null if it is not known.
inline const NumberFormat* number_format_of(at::ScalarType type) {
  for (const NumberFormat& format : number_formats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

}  // namespace fulgurite::detail
