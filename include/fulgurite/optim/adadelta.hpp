// SPDX-License-Identifier: MIT
// Adadelta.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include <array>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Adadelta`, with PyTorch's defaults.
struct AdadeltaOptions {
  double lr = 1.0;            ///< learning rate, 0 or more
  double rho = 0.9;           ///< decay rate of the running means of squares, in [0, 1]
  double eps = 1e-6;          ///< added under the roots, 0 or more
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(rho >= 0.0 && rho <= 1.0)) return "needs a rho in [0, 1]";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = AdadeltaOptions;
    f("lr", &O::lr);
    f("rho", &O::rho);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.Adadelta (Zeiler, 2012).
class Adadelta : public detail::GroupedOptimizer<Adadelta, AdadeltaOptions, 2> {
 public:
  static constexpr const char* name = "Adadelta";
  static constexpr std::array state_names{"square_avg", "acc_delta"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  using GroupedOptimizer::GroupedOptimizer;

 private:
  friend GroupedOptimizer;

  void update(const AdadeltaOptions& options, Part& part) {
    auto& [squares, updates] = part.states;  // running means of squared gradients and of squared updates
    penalise(part, options.maximize, options.weight_decay);
    at::_foreach_mul_(squares, options.rho);
    at::_foreach_addcmul_(squares, part.gradients, part.gradients, 1.0 - options.rho);
    const auto deviations = at::_foreach_add(squares, options.eps);
    at::_foreach_sqrt_(deviations);
    const auto deltas = at::_foreach_add(updates, options.eps);
    at::_foreach_sqrt_(deltas);
    at::_foreach_div_(deltas, deviations);
    at::_foreach_mul_(deltas, part.gradients);
    at::_foreach_mul_(updates, options.rho);
    at::_foreach_addcmul_(updates, deltas, deltas, 1.0 - options.rho);
    at::_foreach_add_(part.parameters, deltas, -options.lr);
  }
};

}  // namespace fulgurite
