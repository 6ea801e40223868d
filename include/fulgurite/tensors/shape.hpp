// SPDX-License-Identifier: MIT
// A tensor's shape, and what it is, as error messages say it.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/ScalarType.h>

#include <string>

namespace fulgurite::detail {

/// "[2, 3]".
inline std::string shape_of(at::IntArrayRef sizes) {
  std::string text = "[";
  for (const auto size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}
inline std::string shape_of(const at::Tensor& tensor) { return shape_of(tensor.sizes()); }

/// "Float [2, 3]", "Float [2, 3] on cuda:0".
inline std::string kind_of(const at::Tensor& tensor) {
  if (!tensor.defined()) return "undefined";
  std::string text = std::string(at::toString(tensor.scalar_type())) + " " + shape_of(tensor);
  return tensor.is_cpu() ? text : text + " on " + tensor.device().str();
}

}  // namespace fulgurite::detail
