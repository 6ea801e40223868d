// SPDX-License-Identifier: MIT
// Adam whose step is rectified while its second moment is young.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_reciprocal.h>
#include <ATen/ops/_foreach_sqrt.h>

#include <array>
#include <cmath>

#include "betas.hpp"
#include "detail/adam_pass.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `RAdam`, with PyTorch's defaults.
struct RAdamOptions {
  double lr = 1e-3;                     ///< learning rate, 0 or more
  Betas betas{};                        ///< decay rates of the running means
  double eps = 1e-8;                    ///< added to the denominator, 0 or more
  double weight_decay = 0.0;            ///< L2 penalty, or part of the weights; 0 or more
  bool decoupled_weight_decay = false;  ///< weights shrink by lr times weight_decay each step, as in AdamW
  bool maximize = false;                ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return betas.problem();
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = RAdamOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("decoupled_weight_decay", &O::decoupled_weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.RAdam (Liu et al., On the Variance of the Adaptive Learning Rate and Beyond, 2020).
class RAdam : public detail::GroupedOptimizer<RAdam, RAdamOptions, 2> {
 public:
  static constexpr const char* name = "RAdam";
  static constexpr std::array state_names{"exp_avg", "exp_avg_sq"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  static constexpr bool uniform = true;
  using GroupedOptimizer::GroupedOptimizer;

 private:
  friend GroupedOptimizer;

  void update(const RAdamOptions& options, Part& part) {
    auto& [means, squares] = part.states;
    const double beta1 = options.betas.first;
    const double beta2 = options.betas.second;
    penalise(part, options.maximize, options.decoupled_weight_decay ? 0.0 : options.weight_decay);
    if (options.decoupled_weight_decay && options.weight_decay != 0.0) {
      at::_foreach_mul_(part.parameters, 1.0 - options.lr * options.weight_decay);
    }
    const double correction1 = 1.0 - std::pow(beta1, part.count);
    const double correction2 = 1.0 - std::pow(beta2, part.count);
    const double longest = 2.0 / (1.0 - beta2) - 1.0;  // of the moving average, in steps
    const double length = longest - 2.0 * part.count * std::pow(beta2, part.count) / correction2;
    const bool rectified = length > 5.0;  // below, the variance of the second moment has no bound
    const double rectification =  // used if rectified, and may be no number before
        std::sqrt((length - 4.0) * (length - 2.0) * longest / ((longest - 4.0) * (longest - 2.0) * length));
    if (rectified && detail::fits_adam_pass(part)) {
      const double lr = options.lr * rectification * std::sqrt(correction2) / correction1;
      detail::adam_pass(part, part.parameters, means, squares, {lr, beta1, beta2, options.eps});
      return;
    }
    at::_foreach_lerp_(means, part.gradients, 1.0 - beta1);
    at::_foreach_mul_(squares, beta2);
    at::_foreach_addcmul_(squares, part.gradients, part.gradients, 1.0 - beta2);
    const auto updates = at::_foreach_div(means, correction1);
    at::_foreach_mul_(updates, options.lr);
    if (rectified) {
      const auto adaptive = at::_foreach_sqrt(squares);
      at::_foreach_add_(adaptive, options.eps);
      at::_foreach_reciprocal_(adaptive);
      at::_foreach_mul_(adaptive, std::sqrt(correction2));
      at::_foreach_mul_(updates, adaptive);
      at::_foreach_mul_(updates, rectification);
    }
    at::_foreach_add_(part.parameters, updates, -1.0);
  }
};

}  // namespace fulgurite
