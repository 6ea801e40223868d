// SPDX-License-Identifier: MIT
// The value of a tensor of one element, read where it lies.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/stack.h>
#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include <fulgurite/logging/number.hpp>

namespace fulgurite {

/// The value as a double. A tensor on the host is read without an operator; one on a device is waited for.
inline double read_number(const at::Tensor& tensor) {
  if (tensor.is_cpu() && tensor.layout() == at::kStrided) {
    switch (tensor.scalar_type()) {
      case at::kFloat:
        return static_cast<double>(*tensor.const_data_ptr<float>());
      case at::kDouble:
        return *tensor.const_data_ptr<double>();
      case at::kBFloat16:
        return static_cast<double>(*tensor.const_data_ptr<at::BFloat16>());
      case at::kHalf:
        return static_cast<double>(*tensor.const_data_ptr<at::Half>());
      case at::kLong:
        return static_cast<double>(*tensor.const_data_ptr<std::int64_t>());
      case at::kInt:
        return static_cast<double>(*tensor.const_data_ptr<std::int32_t>());
      case at::kBool:
        return *tensor.const_data_ptr<bool>() ? 1.0 : 0.0;
      default:
        break;
    }
  }
  return tensor.item<double>();
}

template <>
struct to_number<at::Tensor> {
  static double read(const at::Tensor& tensor) {
    require_one_element(tensor);
    return read_number(tensor);
  }

  static bool is_far(const at::Tensor& tensor) {
    require_one_element(tensor);
    return !tensor.is_cpu();
  }

  /// A copy, since the tensor may be overwritten before it is read; it is made on the device, without
  /// waiting.
  static at::Tensor keep(const at::Tensor& tensor) {
    return tensor.detach().to(at::kDouble, false, true).reshape({});
  }

  /// Those of one device come to the host together.
  static void read(std::span<const at::Tensor> kept, double* values) {
    std::vector<bool> done(kept.size(), false);
    for (std::size_t first = 0; first < kept.size(); ++first) {
      if (done[first]) continue;
      std::vector<at::Tensor> together;
      std::vector<std::size_t> places;
      for (std::size_t i = first; i < kept.size(); ++i) {
        if (kept[i].device() != kept[first].device()) continue;
        together.push_back(kept[i]);
        places.push_back(i);
        done[i] = true;
      }
      const at::Tensor host = at::stack(together).cpu();
      for (std::size_t i = 0; i < places.size(); ++i) values[places[i]] = host.const_data_ptr<double>()[i];
    }
  }

 private:
  static void require_one_element(const at::Tensor& tensor) {
    if (!tensor.defined()) throw std::invalid_argument("fulgurite: step.log was given an undefined tensor");
    if (tensor.numel() == 1 && !tensor.is_complex()) return;
    if (tensor.is_complex()) {
      throw std::invalid_argument("fulgurite: step.log takes a real number, and this tensor is complex: log its torch::abs, "
                                  "torch::real or torch::imag");
    }
    throw std::invalid_argument("fulgurite: step.log takes a tensor with one element, and this one has " +
                                std::to_string(tensor.numel()) + ": log its mean() or sum()");
  }
};

}  // namespace fulgurite
