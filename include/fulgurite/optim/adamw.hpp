// SPDX-License-Identifier: MIT
// Adam with decoupled weight decay.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adamw.h>

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

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = AdamWOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("amsgrad", &O::amsgrad);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.AdamW (Loshchilov and Hutter, Decoupled Weight Decay Regularization, 2019).
class AdamW : public detail::AdamFamily<AdamW, AdamWOptions> {
 public:
  static constexpr const char* name = "AdamW";
  static constexpr auto constants = constants_with(detail::Constant::Value::yes);
  using AdamFamily::AdamFamily;

 private:
  friend GroupedOptimizer;
  void update(const AdamWOptions& options, Part& part, const detail::FusedArguments& with) {
    call([](auto&&... arguments) { at::_fused_adamw_(arguments...); }, options, part, with);
  }
};

}  // namespace fulgurite
