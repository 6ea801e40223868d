// SPDX-License-Identifier: MIT
// The value of a tensor of one element, read where it lies.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/BFloat16.h>

#include <stdexcept>
#include <string>

#include <fulgurite/logging/number.hpp>

namespace fulgurite {

/// The value as a double. A tensor on the host is read without an operator; one on a device is waited for.
inline double read_number(const at::Tensor& tensor) {
  if (tensor.is_cpu()) {
    switch (tensor.scalar_type()) {
      case at::kFloat: return static_cast<double>(*tensor.const_data_ptr<float>());
      case at::kDouble: return *tensor.const_data_ptr<double>();
      case at::kBFloat16: return static_cast<double>(*tensor.const_data_ptr<at::BFloat16>());
      default: break;
    }
  }
  return tensor.item<double>();
}

template <>
struct to_number<at::Tensor> {
  static double read(const at::Tensor& tensor) {
    if (!tensor.defined() || tensor.numel() != 1) {
      throw std::invalid_argument("fulgurite: step.log takes a tensor with one element, and this one has " +
                                  std::to_string(tensor.defined() ? tensor.numel() : 0) + ": log its mean() or sum()");
    }
    return read_number(tensor);
  }
};

}  // namespace fulgurite
