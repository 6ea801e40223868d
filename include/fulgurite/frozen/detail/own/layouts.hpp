// SPDX-License-Identifier: MIT
// What our loops ask of tensors before they walk their memory.
#pragma once

#include <ATen/Parallel.h>
#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <cstdint>

namespace fulgurite::detail {

/// One loop from the first to the last element visits the same elements of both in the same order.
inline bool same_walk(const at::Tensor& a, const at::Tensor& b) {
  if (a.sizes() != b.sizes()) return false;
  if (a.strides() == b.strides()) return a.is_non_overlapping_and_dense();
  return a.is_contiguous() && b.is_contiguous();
}

/// Formats that C++ computes in as LibTorch does.
inline bool is_float_or_double(const at::Tensor& tensor) {
  return tensor.defined() && (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kDouble);
}

/// One thread is enough for it, and our loops have no more.
inline bool is_for_one_thread(const at::Tensor& tensor) {
  constexpr std::int64_t share_of_a_thread = 32768;  // LibTorch's for arithmetic
  return tensor.numel() <= share_of_a_thread || at::get_num_threads() == 1;
}

/// f.operator()<float>() or f.operator()<double>().
template <class F>
auto with_number(const at::Tensor& tensor, F f) {
  return tensor.scalar_type() == at::kFloat ? f.template operator()<float>() : f.template operator()<double>();
}

}  // namespace fulgurite::detail
