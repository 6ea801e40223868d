// SPDX-License-Identifier: MIT
// RMSprop.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcdiv.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sqrt.h>

#include <array>
#include <cstddef>
#include <vector>

#include "detail/adam_pass.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `RMSprop`, with PyTorch's defaults.
struct RMSpropOptions {
  double lr = 1e-2;           ///< learning rate, 0 or more
  double alpha = 0.99;        ///< decay rate of the running mean of squares, 0 or more
  double eps = 1e-8;          ///< added to the denominator, 0 or more
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  double momentum = 0.0;      ///< part of the last update that is kept, 0 or more
  bool centered = false;      ///< divides by the standard deviation instead of the root of the squares
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(alpha >= 0.0)) return "needs an alpha of 0 or more";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    if (!(momentum >= 0.0)) return "needs a momentum of 0 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = RMSpropOptions;
    f("lr", &O::lr);
    f("momentum", &O::momentum);
    f("alpha", &O::alpha);
    f("eps", &O::eps);
    f("centered", &O::centered);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.RMSprop (Hinton, Neural Networks for Machine Learning, lecture 6e, 2012; centered: Graves, 2013).
class RMSprop : public detail::GroupedOptimizer<RMSprop, RMSpropOptions, 3> {
 public:
  static constexpr const char* name = "RMSprop";
  static constexpr std::array state_names{"square_avg", "momentum_buffer", "grad_avg"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  using GroupedOptimizer::GroupedOptimizer;

  static bool uses(const RMSpropOptions& options, const at::Tensor&, std::size_t k) {
    return k == 0 || (k == 1 ? options.momentum > 0.0 : options.centered);
  }

 private:
  friend GroupedOptimizer;

  void update(const RMSpropOptions& options, Part& part) {
    auto& [squares, buffers, means] = part.states;
    penalise(part, options.maximize, options.weight_decay);
    if (!options.centered && options.alpha < 1.0 && detail::fits_adam_pass(part)) {
      if (options.momentum > 0.0) {
        at::_foreach_mul_(buffers, options.momentum);
        detail::adam_pass(part, buffers, part.gradients, squares, {-1.0, 0.0, options.alpha, options.eps});
        at::_foreach_add_(part.parameters, buffers, -options.lr);
      } else {
        detail::adam_pass(part, part.parameters, part.gradients, squares, {options.lr, 0.0, options.alpha, options.eps});
      }
      return;
    }
    at::_foreach_mul_(squares, options.alpha);
    at::_foreach_addcmul_(squares, part.gradients, part.gradients, 1.0 - options.alpha);
    std::vector<at::Tensor> denominators;
    if (options.centered) {
      at::_foreach_lerp_(means, part.gradients, 1.0 - options.alpha);
      denominators = at::_foreach_addcmul(squares, means, means, -1.0);
      at::_foreach_sqrt_(denominators);
    } else {
      denominators = at::_foreach_sqrt(squares);
    }
    at::_foreach_add_(denominators, options.eps);
    if (options.momentum > 0.0) {
      at::_foreach_mul_(buffers, options.momentum);
      at::_foreach_addcdiv_(buffers, part.gradients, denominators);
      at::_foreach_add_(part.parameters, buffers, -options.lr);
    } else {
      at::_foreach_addcdiv_(part.parameters, part.gradients, denominators, -options.lr);
    }
  }
};

}  // namespace fulgurite
