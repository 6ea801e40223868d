// SPDX-License-Identifier: MIT
// Averaged stochastic gradient descent.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_copy.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_sub.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `ASGD`, with PyTorch's defaults.
struct ASGDOptions {
  double lr = 1e-2;           ///< learning rate, 0 or more
  double lambd = 1e-4;        ///< decay of weights and of the rate
  double alpha = 0.75;        ///< power of the rate's decay
  double t0 = 1e6;            ///< the step at which averaging begins
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  bool maximize = false;      ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = ASGDOptions;
    f("lr", &O::lr);
    f("lambd", &O::lambd);
    f("alpha", &O::alpha);
    f("t0", &O::t0);
    f("weight_decay", &O::weight_decay);
    f("maximize", &O::maximize);
  }
};

/// torch.optim.ASGD (Polyak and Juditsky, Acceleration of stochastic approximation by averaging, 1992). The averages are
/// its state's "ax".
class ASGD : public detail::GroupedOptimizer<ASGD, ASGDOptions, 1, 2> {
 public:
  static constexpr const char* name = "ASGD";
  static constexpr std::array state_names{"ax"};
  static constexpr std::array number_names{"eta", "mu"};
  static constexpr std::array<detail::Constant, 3> constants{{{"foreach"},
                                                              {"capturable", detail::Constant::Value::no},
                                                              {"differentiable", detail::Constant::Value::no}}};
  static constexpr bool uniform = true;
  using GroupedOptimizer::GroupedOptimizer;

  static std::array<double, 2> first_numbers(const ASGDOptions& options) { return {as_float(options.lr), 1.0}; }

 private:
  friend GroupedOptimizer;

  void update(const ASGDOptions& options, Part& part) {
    auto& [averages] = part.states;
    auto& [eta, mu] = part.numbers;  // this step's rate, and its weight in the average
    penalise(part, options.maximize, options.weight_decay);
    at::_foreach_mul_(part.parameters, 1.0 - options.lambd * eta);
    at::_foreach_add_(part.parameters, part.gradients, -eta);
    if (mu == 1.0) {
      at::_foreach_copy_(averages, part.parameters);
    } else {
      const auto distances = at::_foreach_sub(part.parameters, averages);
      at::_foreach_mul_(distances, mu);
      at::_foreach_add_(averages, distances);
    }
    eta = as_float(options.lr / std::pow(1.0 + options.lambd * options.lr * part.count, options.alpha));
    mu = as_float(1.0 / std::max(1.0, part.count - options.t0));
  }

  // Python keeps both in float32.
  static double as_float(double value) { return static_cast<float>(value); }
};

}  // namespace fulgurite
