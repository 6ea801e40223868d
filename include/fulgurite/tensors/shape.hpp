// SPDX-License-Identifier: MIT
// A tensor's shape as error messages say it.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

namespace fulgurite::detail {

/// "[2, 3]".
inline std::string shape_of(at::IntArrayRef sizes) {
  std::string text = "[";
  for (const auto size : sizes) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
  return text + "]";
}
inline std::string shape_of(const at::Tensor& tensor) { return shape_of(tensor.sizes()); }

}  // namespace fulgurite::detail
