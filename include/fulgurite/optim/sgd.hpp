// SPDX-License-Identifier: MIT
// Stochastic gradient descent over LibTorch's fused kernel.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_sgd.h>

#include <array>
#include <cstddef>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `SGD`, with PyTorch's defaults.
struct SGDOptions {
  double lr = 1e-3;           ///< learning rate, 0 or more
  double momentum = 0.0;      ///< part of the last update that is kept, 0 or more
  double dampening = 0.0;     ///< damps the gradient's way into the momentum
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  bool nesterov = false;      ///< looks ahead; needs momentum and no dampening
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(momentum >= 0.0)) return "needs a momentum of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    if (nesterov && (momentum == 0.0 || dampening != 0.0)) return "needs momentum and no dampening for nesterov";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = SGDOptions;
    f("lr", &O::lr);
    f("momentum", &O::momentum);
    f("dampening", &O::dampening);
    f("weight_decay", &O::weight_decay);
    f("nesterov", &O::nesterov);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.SGD (Sutskever et al., 2013, with PyTorch's form of momentum).
class SGD : public detail::GroupedOptimizer<SGD, SGDOptions, 1> {
 public:
  static constexpr const char* name = "SGD";
  static constexpr std::array state_names{"momentum_buffer"};
  static constexpr std::array<detail::Constant, 3> constants{
      {{"foreach"}, {"differentiable", detail::Constant::Value::no}, {"fused", detail::Constant::Value::yes}}};
  static constexpr bool fused = true;
  static constexpr bool counts_steps = false;
  static constexpr bool uniform = true;  // the kernel starts every buffer of a call or none
  using GroupedOptimizer::GroupedOptimizer;

  static bool uses(const SGDOptions& options, const at::Tensor&, std::size_t) { return options.momentum != 0.0; }

 private:
  friend GroupedOptimizer;

  void update(const SGDOptions& options, Part& part, const detail::FusedArguments& with) {
    const bool starts = options.momentum != 0.0 && part.count == 1.0;
    at::_fused_sgd_(part.parameters, part.gradients, part.states[0], options.weight_decay, options.momentum, with.lr,
                    options.dampening, options.nesterov, options.maximize, starts, with.divisor, with.found_inf);
  }
};

}  // namespace fulgurite
