// SPDX-License-Identifier: MIT
// Adam with decoupled weight decay.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>

#include <optional>

#include "adam.hpp"

namespace fulgurite {

/// Options of `AdamW`, with PyTorch's defaults.
struct AdamWOptions {
  double lr = 1e-3;            ///< learning rate, 0 or more
  Betas betas{};               ///< decay rates of the running means
  double eps = 1e-8;           ///< added to the denominator, 0 or more
  double weight_decay = 1e-2;  ///< weights shrink by lr times this each step, 0 or more
  bool amsgrad = false;        ///< keeps the largest second moment (Reddi et al., 2018)
  bool maximize = false;       ///< climbs instead

  constexpr const char* problem() const {
    return AdamOptions{lr, betas, eps, weight_decay, amsgrad, maximize}.problem();
  }
};

/// torch.optim.AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019).
class AdamW : public detail::AdamFamily<AdamW, AdamWOptions> {
 public:
  static constexpr const char* name = "AdamW";
  using AdamFamily::AdamFamily;

 private:
  friend FusedOptimizer;
  void update(const AdamWOptions& options, Lists& lists, const std::optional<at::Tensor>& divisor) {
    call([](auto&&... arguments) { at::_fused_adamw_(arguments...); }, options, lists, divisor);
  }
};

}  // namespace fulgurite
