// SPDX-License-Identifier: MIT
// What several optimizers have in common with Adam, in one pass over memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>
#include <ATen/ops/full.h>

#include <limits>

namespace fulgurite::detail {

/// Whether `adam_pass` has a part's numbers. Short formats are rounded after every operator, and once in the kernel; and on
/// a GPU a multi-tensor operator costs less than a kernel for so many lists.
template <class Part>
bool fits_adam_pass(const Part& part) {
  return part.device.is_cpu() && (part.dtype == at::kFloat || part.dtype == at::kDouble);
}

struct AdamPass {
  double lr, beta1, beta2, eps;
};

/// means = beta1 * means + (1 - beta1) * gradients, squares likewise of their squares, and then
/// parameters -= lr * means / (sqrt(squares) + eps), with betas in [0, 1). Where a processor walks a multi-tensor operator's
/// list tensor by tensor, several of them take as many passes; the fused kernel of Adam takes one. It corrects the bias of
/// young means, which is none after infinitely many steps.
/// A beta1 of 0 needs no memory for the means: the gradients may stand there, and stay what they are if they are finite.
template <class Part>
void adam_pass(Part& part, at::TensorList parameters, at::TensorList means, at::TensorList squares, const AdamPass& with) {
  if (part.steps.empty()) {
    const auto number = part.parameters.front().options().dtype(at::kFloat);
    part.steps.assign(part.parameters.size(), at::full({}, std::numeric_limits<double>::infinity(), number));
  }
  at::_fused_adam_(parameters, part.gradients, means, squares, {}, part.steps, with.lr, with.beta1, with.beta2,
                   /*weight_decay=*/0.0, with.eps, /*amsgrad=*/false, /*maximize=*/false);
}

}  // namespace fulgurite::detail
