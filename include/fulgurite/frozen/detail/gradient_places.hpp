// SPDX-License-Identifier: MIT
// Where the gradients of parameters are before and after a recorded step.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <utility>
#include <vector>

namespace fulgurite::detail {

/// A replay reads and writes gradients where the recorded step did.
class GradientPlaces {
 public:
  GradientPlaces() = default;

  /// Before the step is recorded.
  explicit GradientPlaces(std::vector<at::Tensor> parameters) : parameters_(std::move(parameters)) {
    for (const at::Tensor& parameter : parameters_) before_.push_back(parameter.grad());
  }

  /// After it. `is_used(gradient)`: an instruction touches its memory.
  template <class IsUsed>
  void finish(IsUsed is_used) {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      after_.push_back(parameters_[i].grad());
      const bool unused = before_[i].defined() && !is_used(before_[i]);
      ignored_.push_back(unused && after_[i].defined() && is_same(before_[i], after_[i]));
      if (unused) before_[i].reset();
    }
  }

  /// A gradient that has moved since is brought back.
  void bring_back() const {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& gradient = parameters_[i].grad();
      if (!before_[i].defined() || !gradient.defined() || is_same(gradient, before_[i])) continue;
      before_[i].copy_(gradient);
      parameters_[i].mutable_grad() = before_[i];
    }
  }

  /// The same, and one that was forgotten is 0.
  void enter() const {
    bring_back();
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (before_[i].defined() && !parameters_[i].grad().defined()) before_[i].zero_();
    }
  }

  void leave() const {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (ignored_[i]) continue;
      const at::Tensor& gradient = parameters_[i].grad();
      if (after_[i].defined() ? gradient.defined() && is_same(gradient, after_[i]) : !gradient.defined()) continue;
      parameters_[i].mutable_grad() = after_[i];
    }
  }

 private:
  static bool is_same(const at::Tensor& a, const at::Tensor& b) {
    return a.unsafeGetTensorImpl() == b.unsafeGetTensorImpl() || a.const_data_ptr() == b.const_data_ptr();
  }

  std::vector<at::Tensor> parameters_;
  std::vector<at::Tensor> before_;  // undefined: the step does not look at it
  std::vector<at::Tensor> after_;   // undefined: it has none
  std::vector<bool> ignored_;       // the step leaves the gradient alone, whichever it is
};

}  // namespace fulgurite::detail
