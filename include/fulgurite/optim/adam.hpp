// SPDX-License-Identifier: MIT
// Adam, and over which kernel it and AdamW work: they differ in how weights decay, and in nothing else.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>

#include <array>
#include <cstddef>
#include <optional>

#include "betas.hpp"
#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Adam`, with PyTorch's defaults.
struct AdamOptions {
  double lr = 1e-3;           ///< learning rate, 0 or more
  Betas betas{};              ///< decay rates of the running means
  double eps = 1e-8;          ///< added to the denominator, 0 or more
  double weight_decay = 0.0;  ///< L2 penalty, 0 or more
  bool amsgrad = false;       ///< keeps the largest second moment (Reddi et al., 2018)
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
    using O = AdamOptions;
    f("lr", &O::lr);
    f("betas", &O::betas);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("amsgrad", &O::amsgrad);
    f("maximize", &O::maximize);
  }
};

namespace detail {

// What Adam and AdamW share: two running means, a third tensor for amsgrad.
template <class Derived, class Options>
class AdamFamily : public GroupedOptimizer<Derived, Options, 3> {
 public:
  using GroupedOptimizer<Derived, Options, 3>::GroupedOptimizer;
  using typename GroupedOptimizer<Derived, Options, 3>::Part;

  static constexpr bool fused = true;
  static constexpr std::array state_names{"exp_avg", "exp_avg_sq", "max_exp_avg_sq"};
  static bool uses(const Options& options, const at::Tensor&, std::size_t k) { return k < 2 || options.amsgrad; }

 protected:
  template <class Kernel>
  static void call(Kernel kernel, const Options& options, Part& part, const FusedArguments& with) {
    kernel(part.parameters, part.gradients, part.states[0], part.states[1], part.states[2], part.steps, with.lr,
           options.betas.first, options.betas.second, options.weight_decay, options.eps, options.amsgrad,
           options.maximize, with.divisor, with.found_inf);
  }

  static constexpr auto constants_with(Constant::Value decoupled_weight_decay) {
    return std::array<Constant, 5>{{{"foreach"},
                                    {"capturable", Constant::Value::no},
                                    {"differentiable", Constant::Value::no},
                                    {"fused", Constant::Value::yes},
                                    {"decoupled_weight_decay", decoupled_weight_decay}}};
  }
};

}  // namespace detail

/// torch.optim.Adam (Kingma and Ba, 2015); weight decay is an L2 penalty on the loss.
class Adam : public detail::AdamFamily<Adam, AdamOptions> {
 public:
  static constexpr const char* name = "Adam";
  static constexpr auto constants = constants_with(detail::Constant::Value::no);
  using AdamFamily::AdamFamily;

 private:
  friend GroupedOptimizer;
  void update(const AdamOptions& options, Part& part, const detail::FusedArguments& with) {
    call([](auto&&... arguments) { at::_fused_adam_(arguments...); }, options, part, with);
  }
};

}  // namespace fulgurite
