// SPDX-License-Identifier: MIT
// All gradients of an optimizer, as clipping policies see them.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include <utility>
#include <vector>

namespace fulgurite {

/// The gradients that exist, by reference: what is done here is done to the parameters' own. An optimizer whose kernel
/// divides by a factor anyway takes the clipping coefficient into it (`folded_divisor`) and saves a pass.
class Gradients {
 public:
  Gradients(std::vector<at::Tensor> gradients, at::Tensor* folded_divisor)
      : gradients_(std::move(gradients)), folded_divisor_(folded_divisor) {}

  const std::vector<at::Tensor>& tensors() const { return gradients_; }

  /// The p-norm of all gradients together: a tensor of no dimension, not read back.
  at::Tensor norm(double norm_type = 2.0) const {
    const c10::NoGradGuard no_grad;
    return at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients_, norm_type)), norm_type);
  }

  /// g *= min(1, max / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_.
  void clip_norm(double max, double norm_type) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    const at::Tensor total = norm(norm_type).add_(1e-6);
    if (folded_divisor_) {
      *folded_divisor_ = total.div_(max).clamp_min_(1.0);
    } else {
      at::_foreach_mul_(gradients_, total.reciprocal_().mul_(max).clamp_max_(1.0));
    }
  }

  /// Clamps each element into [-max, max], as torch.nn.utils.clip_grad_value_.
  void clip_value(double max) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    at::_foreach_clamp_min_(gradients_, -max);
    at::_foreach_clamp_max_(gradients_, max);
  }

  /// Multiplies every gradient.
  void scale(double factor) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    at::_foreach_mul_(gradients_, factor);
  }

 private:
  std::vector<at::Tensor> gradients_;
  at::Tensor* folded_divisor_;  // of the next update; nullptr if the optimizer cannot fold
};

}  // namespace fulgurite
