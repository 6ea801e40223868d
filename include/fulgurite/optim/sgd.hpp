// SPDX-License-Identifier: MIT
// Stochastic gradient descent over LibTorch's fused kernel.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_sgd.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "fused_optimizer.hpp"

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
};

/// torch.optim.SGD (Sutskever et al., 2013, with PyTorch's form of momentum).
class SGD : public detail::FusedOptimizer<SGD, SGDOptions, 1> {
 public:
  static constexpr const char* name = "SGD";
  using FusedOptimizer::FusedOptimizer;

  double momentum(std::int64_t group) const { return options(group).momentum; }
  void set_momentum(std::int64_t group, double momentum) { options(group).momentum = momentum; }

 private:
  friend FusedOptimizer;

  static std::size_t states_in_use(const SGDOptions&) { return 1; }

  // The kernel starts every buffer of a call or none, so first-timers are a call of their own.
  void update(const SGDOptions& options, Lists& lists, const std::optional<at::Tensor>& divisor) {
    if (options.momentum == 0.0) return call(options, lists.parameters, lists.gradients, {}, false, divisor);
    for (const bool first : {true, false}) {
      parameters_.clear(), gradients_.clear(), buffers_.clear();
      for (std::size_t i = 0; i < lists.parameters.size(); ++i) {
        at::Tensor& buffer = lists.states[0][i];
        if (lists.first_steps[i] != first) continue;
        parameters_.push_back(lists.parameters[i]);
        gradients_.push_back(lists.gradients[i]);
        buffers_.push_back(buffer);
      }
      if (!parameters_.empty()) call(options, parameters_, gradients_, buffers_, first, divisor);
    }
    parameters_.clear(), gradients_.clear(), buffers_.clear();
  }

  static void call(const SGDOptions& options, at::TensorList parameters, at::TensorList gradients, at::TensorList buffers,
                   bool first, const std::optional<at::Tensor>& divisor) {
    at::_fused_sgd_(parameters, gradients, buffers, options.weight_decay, options.momentum, options.lr,
                    options.dampening, options.nesterov, options.maximize, first, divisor);
  }

  std::vector<at::Tensor> parameters_, gradients_, buffers_;
};

}  // namespace fulgurite
