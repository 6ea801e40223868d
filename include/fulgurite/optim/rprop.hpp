// SPDX-License-Identifier: MIT
// Resilient backpropagation: steps that follow the signs of gradients.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_addcmul.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>
#include <ATen/ops/full_like.h>
#include <ATen/ops/zeros_like.h>

#include <array>
#include <cstddef>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Rprop`, with PyTorch's defaults.
struct RpropOptions {
  double lr = 1e-2;                              ///< the first step size of every element, 0 or more
  std::array<double, 2> etas{0.5, 1.2};          ///< factors of a step size: sign changed, in (0, 1); sign kept, above 1
  std::array<double, 2> step_sizes{1e-6, 50.0};  ///< least and largest step size

  bool maximize = false;  ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(0.0 < etas[0] && etas[0] < 1.0 && 1.0 < etas[1])) return "needs etas in (0, 1) and above 1";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = RpropOptions;
    f("lr", &O::lr);
    f("etas", &O::etas);
    f("step_sizes", &O::step_sizes);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.Rprop (Riedmiller and Braun, 1993). For gradients of the whole data set: batches change signs by chance.
class Rprop : public detail::GroupedOptimizer<Rprop, RpropOptions, 2> {
 public:
  static constexpr const char* name = "Rprop";
  static constexpr std::array state_names{"prev", "step_size"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  using GroupedOptimizer::GroupedOptimizer;

  static at::Tensor make_state(const RpropOptions& options, const at::Tensor& parameter, std::size_t k) {
    return k == 0 ? at::zeros_like(parameter)
                  : at::full_like(parameter, options.lr, parameter.options().requires_grad(false));
  }

 private:
  friend GroupedOptimizer;

  void update(const RpropOptions& options, Part& part) {
    auto& [previous, sizes] = part.states;
    const auto [shrink, grow] = options.etas;
    penalise(part, options.maximize, 0.0);
    const auto signs = at::_foreach_mul(part.gradients, previous);
    at::_foreach_sign_(signs);
    const auto changed = at::_foreach_clamp_max(signs, 0.0);  // -1 where the sign changed, else 0

    // factor = grow, 1 or shrink for a sign of 1, 0 or -1
    const auto factors = at::_foreach_clamp_min(signs, 0.0);
    at::_foreach_mul_(factors, grow - 1.0);
    at::_foreach_add_(factors, changed, 1.0 - shrink);
    at::_foreach_add_(factors, 1.0);
    at::_foreach_mul_(sizes, factors);
    at::_foreach_clamp_min_(sizes, options.step_sizes[0]);
    at::_foreach_clamp_max_(sizes, options.step_sizes[1]);

    // Where the sign changed, this step stays and the next compares with nothing.
    at::_foreach_add_(changed, 1.0);
    at::_foreach_copy_(previous, part.gradients);
    at::_foreach_mul_(previous, changed);
    const auto directions = at::_foreach_sign(previous);
    at::_foreach_addcmul_(part.parameters, directions, sizes, -1.0);
  }
};

}  // namespace fulgurite
