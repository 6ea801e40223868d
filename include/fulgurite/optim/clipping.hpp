// SPDX-License-Identifier: MIT
// Gradient clipping without a trainer or an optimizer of ours.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/tensors/gradients.hpp>

namespace fulgurite {

namespace detail {

template <class Policy>
Gradients gradients_to_clip(const std::vector<at::Tensor>& parameters, const Policy& policy) {
  require_sensible(policy);
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& parameter : parameters) {
    if (at::Tensor values = gradient_values(parameter); values.defined()) gradients.push_back(std::move(values));
  }
  return Gradients(std::move(gradients));
}

}  // namespace detail

/// Scales the gradients of `parameters` down together, so that their p-norm is at most `max`; infinity is the largest
/// absolute value. Returns the norm before: a tensor of no dimension, not read back. Parameters without gradient are
/// left out. Throws NonFiniteGradient, before anything is clipped, if `error_if_nonfinite` and the norm is NaN or infinite.
/// torch.nn.utils.clip_grad_norm_ (Pascanu et al., 2013), with the bits of `ClipNorm` in a trainer.
inline at::Tensor clip_grad_norm_(const std::vector<at::Tensor>& parameters, double max, double norm_type = 2.0,
                             bool error_if_nonfinite = false) {
  const ClipNorm policy{max, norm_type, error_if_nonfinite};
  const Gradients gradients = detail::gradients_to_clip(parameters, policy);
  return policy.clip(gradients);
}

/// Clamps each element of the gradients of `parameters` into [-max, max]. torch.nn.utils.clip_grad_value_.
inline void clip_grad_value_(const std::vector<at::Tensor>& parameters, double max) {
  detail::gradients_to_clip(parameters, ClipValue{max}).clip_value(max);
}

}  // namespace fulgurite
