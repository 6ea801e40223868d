// SPDX-License-Identifier: MIT
// Adam with Nesterov momentum.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include <array>
#include <cmath>

#include "betas.hpp"
#include "detail/adam_pass.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `NAdam`, with PyTorch's defaults.
struct NAdamOptions {
  double lr = 2e-3;                     ///< learning rate, 0 or more
  Betas betas{};                        ///< decay rates of the running means
  double eps = 1e-8;                    ///< added to the denominator, 0 or more
  double weight_decay = 0.0;            ///< L2 penalty, or part of the weights; 0 or more
  double momentum_decay = 4e-3;         ///< how fast the momentum warms up to its beta, 0 or more
  bool decoupled_weight_decay = false;  ///< weights shrink by lr times weight_decay each step, as in AdamW
  bool maximize = false;                ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    if (!(momentum_decay >= 0.0)) return "needs a momentum_decay of 0 or more";
    return betas.problem();
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = NAdamOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("momentum_decay", &O::momentum_decay);
    f("decoupled_weight_decay", &O::decoupled_weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.NAdam (Dozat, Incorporating Nesterov Momentum into Adam, 2016).
class NAdam : public detail::GroupedOptimizer<NAdam, NAdamOptions, 2, 1> {
 public:
  static constexpr const char* name = "NAdam";
  static constexpr std::array state_names{"exp_avg", "exp_avg_sq"};
  static constexpr std::array number_names{"mu_product"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  static constexpr bool uniform = true;
  using GroupedOptimizer::GroupedOptimizer;

  static std::array<double, 1> first_numbers(const NAdamOptions&) { return {1.0}; }

 private:
  friend GroupedOptimizer;

  void update(const NAdamOptions& options, Part& part) {
    auto& [means, squares] = part.states;
    const double beta1 = options.betas.first;
    const double beta2 = options.betas.second;
    const auto momentum_at = [&](double step) {
      return beta1 * (1.0 - 0.5 * std::pow(0.96, step * options.momentum_decay));
    };
    const double momentum = momentum_at(part.count);
    const double next_momentum = momentum_at(part.count + 1.0);
    float product = static_cast<float>(part.numbers[0]);  // in the number format of Python's tensor
    product *= static_cast<float>(momentum);
    part.numbers[0] = product;

    penalise(part, options.maximize, options.decoupled_weight_decay ? 0.0 : options.weight_decay);
    if (options.decoupled_weight_decay && options.weight_decay != 0.0) {
      at::_foreach_mul_(part.parameters, 1.0 - options.lr * options.weight_decay);
    }
    const double correction2 = 1.0 - std::pow(beta2, part.count);
    const double gradient_lr = options.lr * (1.0 - momentum) / (1.0 - part.numbers[0]);
    const double mean_lr = options.lr * next_momentum / (1.0 - part.numbers[0] * next_momentum);
    if (detail::fits_adam_pass(part)) {
      const double root = std::sqrt(correction2);  // taken out of the denominator, so that it is in no pass
      detail::adam_pass(part, part.parameters, means, squares, {mean_lr * root, beta1, beta2, options.eps * root});
      const auto denominators = at::_foreach_sqrt(squares);
      at::_foreach_add_(denominators, options.eps * root);
      at::_foreach_addcdiv_(part.parameters, part.gradients, denominators, -gradient_lr * root);
      return;
    }
    at::_foreach_lerp_(means, part.gradients, 1.0 - beta1);
    at::_foreach_mul_(squares, beta2);
    at::_foreach_addcmul_(squares, part.gradients, part.gradients, 1.0 - beta2);
    const auto denominators = at::_foreach_div(squares, correction2);
    at::_foreach_sqrt_(denominators);
    at::_foreach_add_(denominators, options.eps);
    at::_foreach_addcdiv_(part.parameters, part.gradients, denominators, -gradient_lr);
    at::_foreach_addcdiv_(part.parameters, means, denominators, -mean_lr);
  }
};

}  // namespace fulgurite
