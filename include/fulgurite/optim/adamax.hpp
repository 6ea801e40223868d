// SPDX-License-Identifier: MIT
// Adam with the largest gradient in place of the second moment.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_abs.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_maximum.h>
#include <ATen/ops/_foreach_mul.h>

#include <array>
#include <cmath>

#include "betas.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Adamax`, with PyTorch's defaults.
struct AdamaxOptions {
  double lr = 2e-3;           ///< learning rate, 0 or more
  Betas betas{};              ///< decay rates: of the running mean, of the running maximum
  double eps = 1e-8;          ///< added to the gradient's size, 0 or more
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return betas.problem();
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = AdamaxOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.Adamax (Kingma and Ba, 2015, section 7.1).
class Adamax : public detail::GroupedOptimizer<Adamax, AdamaxOptions, 2> {
 public:
  static constexpr const char* name = "Adamax";
  static constexpr std::array state_names{"exp_avg", "exp_inf"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  static constexpr bool uniform = true;
  using GroupedOptimizer::GroupedOptimizer;

 private:
  friend GroupedOptimizer;

  void update(const AdamaxOptions& options, Part& part) {
    auto& [means, maxima] = part.states;
    const double beta1 = options.betas.first;
    penalise(part, options.maximize, options.weight_decay);
    at::_foreach_lerp_(means, part.gradients, 1.0 - beta1);
    at::_foreach_mul_(maxima, options.betas.second);
    const auto sizes = at::_foreach_abs(part.gradients);
    at::_foreach_add_(sizes, options.eps);
    at::_foreach_maximum_(maxima, sizes);
    at::_foreach_addcdiv_(part.parameters, means, maxima, -(options.lr / (1.0 - std::pow(beta1, part.count))));
  }
};

}  // namespace fulgurite
