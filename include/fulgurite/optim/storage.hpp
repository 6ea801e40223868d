// SPDX-License-Identifier: MIT
// Where parameters and gradients lie in memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros_like.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fulgurite {

/// Parameters and gradients of a group are stored in one memory each: one update and one write, whatever their number.
/// Given to an optimizer as its last argument: `fg::AdamW(parameters, options, fg::Contiguous{})`. A parameter without
/// gradient then has a gradient of 0, so weight decay and momenta go on moving it. Without this, gradients lie where
/// autograd leaves them.
struct Contiguous {
  explicit Contiguous() = default;
};

namespace detail {

/// A group's parameters as views of a few flat tensors, one for each device and number format.
class FlatStorage {
 public:
  /// Where a parameter lies.
  struct Slice {
    std::size_t flat;
    std::int64_t offset;  // in elements

    at::Tensor of(const at::Tensor& tensor, const at::Tensor& like) const {
      return tensor.as_strided(like.sizes(), like.strides(), offset);
    }
  };

  /// Moves the parameters into flat tensors. They stay the same tensors for who holds them.
  explicit FlatStorage(std::vector<at::Tensor> parameters) : parameters_(std::move(parameters)) {
    std::vector<std::int64_t> sizes;
    for (const at::Tensor& parameter : parameters_) {
      std::size_t f = 0;
      while (f < flats_.size() && !alike(flats_[f], parameter)) ++f;
      if (f == flats_.size()) {
        flats_.push_back(at::empty({0}, parameter.options().requires_grad(false)));
        sizes.push_back(0);
      }
      slices_.push_back({f, sizes[f]});
      sizes[f] += parameter.numel();
    }
    for (std::size_t f = 0; f < flats_.size(); ++f) {
      flats_[f] = at::empty({sizes[f]}, flats_[f].options());
      flats_[f].mutable_grad() = at::zeros_like(flats_[f]);
    }
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor place = slices_[i].of(flats_[slices_[i].flat], parameters_[i]);
      place.copy_(parameters_[i]);
      parameters_[i].set_data(place);
    }
    fetch("");
  }

  const std::vector<at::Tensor>& flats() const { return flats_; }
  const Slice& slice(std::size_t i) const { return slices_[i]; }

  /// Brings gradients that were made or forgotten elsewhere back into the flat ones. Throws std::invalid_argument if a
  /// parameter has left its place.
  void fetch(const std::string& optimizer) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (!is_there(parameters_[i], flats_[slices_[i].flat], i)) {
        throw std::invalid_argument("fulgurite: " + optimizer + " with fg::Contiguous has lost a parameter, whose memory "
                                    "was replaced: move the model to its device and number format before the optimizer "
                                    "is made");
      }
    }
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      at::Tensor& gradient = parameters_[i].mutable_grad();
      const at::Tensor& flat = flats_[slices_[i].flat].grad();
      if (gradient.defined() && is_there(gradient, flat, i)) continue;
      const at::Tensor place = slices_[i].of(flat, parameters_[i]);
      if (gradient.defined()) {
        place.copy_(gradient);
      } else {
        place.zero_();
      }
      gradient = place;
    }
  }

  void zero_grad() {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      parameters_[i].mutable_grad() = slices_[i].of(flats_[slices_[i].flat].grad(), parameters_[i]);
    }
    for (const at::Tensor& flat : flats_) flat.grad().zero_();
  }

 private:
  static bool alike(const at::Tensor& a, const at::Tensor& b) {
    return a.device() == b.device() && a.scalar_type() == b.scalar_type();
  }

  /// A tensor without elements has no address.
  bool is_there(const at::Tensor& tensor, const at::Tensor& flat, std::size_t i) const {
    return tensor.numel() == 0 ||
           tensor.const_data_ptr() == static_cast<const char*>(flat.const_data_ptr()) +
                                          slices_[i].offset * static_cast<std::int64_t>(flat.element_size());
  }

  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> flats_;  // their gradients are flat too
  std::vector<Slice> slices_;      // one a parameter
};

}  // namespace detail

}  // namespace fulgurite
