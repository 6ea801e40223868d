// SPDX-License-Identifier: MIT
// What our loops ask of tensors before they walk their memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

namespace fulgurite::detail {

/// One loop from the first to the last element visits the same elements of both in the same order.
inline bool same_walk(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() == b.sizes() && a.strides() == b.strides()) return a.is_non_overlapping_and_dense();
  return a.numel() == b.numel() && a.is_contiguous() && b.is_contiguous() && a.sizes() == b.sizes();
}

/// Formats that C++ computes in as LibTorch does.
inline bool is_float_or_double(const at::Tensor& tensor) {
  return tensor.defined() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
}

/// f.operator()<float>() or f.operator()<double>().
template <class F>
auto with_number(const at::Tensor& tensor, F f) {
  return tensor.scalar_type() == at::kFloat ? f.template operator()<float>() : f.template operator()<double>();
}

}  // namespace fulgurite::detail
