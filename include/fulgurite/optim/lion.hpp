// SPDX-License-Identifier: MIT
// Lion: the sign of a momentum.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sign.h>

#include <array>

#include "betas.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Lion`, with the paper's defaults.
struct LionOptions {
  double lr = 1e-4;           ///< learning rate, 0 or more; a third to a tenth of AdamW's
  Betas betas{0.9, 0.99};     ///< weight of the momentum in the update, and its decay rate
  double weight_decay = 0.0;  ///< weights shrink by lr times this each step, 0 or more; three to ten times AdamW's
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return betas.problem();
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = LionOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// Lion (Chen et al., Symbolic Discovery of Optimization Algorithms, 2023). PyTorch has none.
class Lion : public detail::GroupedOptimizer<Lion, LionOptions, 1> {
 public:
  static constexpr const char* name = "Lion";
  static constexpr std::array state_names{"exp_avg"};
  static constexpr std::array<detail::Constant, 0> constants{};
  static constexpr bool counts_steps = false;
  using GroupedOptimizer::GroupedOptimizer;

 private:
  friend GroupedOptimizer;

  void update(const LionOptions& options, Part& part) {
    auto& [momenta] = part.states;
    penalise(part, options.maximize, 0.0);
    if (options.weight_decay != 0.0) at::_foreach_mul_(part.parameters, 1.0 - options.lr * options.weight_decay);
    const auto directions = at::_foreach_lerp(momenta, part.gradients, 1.0 - options.betas.first);
    at::_foreach_sign_(directions);
    at::_foreach_add_(part.parameters, directions, -options.lr);
    at::_foreach_lerp_(momenta, part.gradients, 1.0 - options.betas.second);
  }
};

}  // namespace fulgurite
