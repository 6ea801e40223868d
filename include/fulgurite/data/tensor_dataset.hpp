// SPDX-License-Identifier: MIT
// Two tensors as a random-access range of examples.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include <ATen/core/Tensor.h>
#include <range/v3/range_fwd.hpp>

#include "detail/index_iterator.hpp"
#include "example.hpp"

namespace fulgurite::data {

/// Inputs `[n, …]` and targets `[n, …]` of any dtype, on one device: a range of `n` examples.
///
/// A view in range-v3's sense: copies share the tensors, and so do its examples `{inputs[i], targets[i]}`.
/// Throws `std::invalid_argument` when the two do not hold equally many examples or lie on different devices.
class TensorDataset : public ranges::view_base {
 public:
  using iterator = detail::IndexIterator<TensorDataset>;

  TensorDataset() = default;

  TensorDataset(at::Tensor inputs, at::Tensor targets)
      : inputs_(std::move(inputs)), targets_(std::move(targets)) {
    check_examples("inputs", inputs_);
    check_examples("targets", targets_);
    if (inputs_.size(0) != targets_.size(0)) {
      refuse(std::to_string(inputs_.size(0)) + " inputs, but " + std::to_string(targets_.size(0)) +
             " targets: the first dimension of both counts the examples");
    }
    if (inputs_.device() != targets_.device()) {
      refuse("inputs are on " + inputs_.device().str() + ", but targets on " + targets_.device().str());
    }
  }

  const at::Tensor& inputs() const { return inputs_; }
  const at::Tensor& targets() const { return targets_; }

  std::size_t size() const { return inputs_.defined() ? static_cast<std::size_t>(inputs_.size(0)) : 0; }

  /// The example at `index`, without its first dimension: views, no copies.
  Example operator[](std::int64_t index) const {
    return {inputs_.select(0, index), targets_.select(0, index)};
  }

  iterator begin() const { return {*this, 0}; }
  iterator end() const { return {*this, static_cast<std::int64_t>(size())}; }

 private:
  [[noreturn]] static void refuse(const std::string& problem) {
    throw std::invalid_argument("fulgurite: a TensorDataset cannot be made: " + problem);
  }

  static void check_examples(const char* name, const at::Tensor& tensor) {
    if (!tensor.defined()) refuse(std::string(name) + " are an undefined tensor");
    if (tensor.dim() == 0) refuse(std::string(name) + " are a scalar, without a dimension to count examples");
  }

  at::Tensor inputs_;
  at::Tensor targets_;
};

}  // namespace fulgurite::data
