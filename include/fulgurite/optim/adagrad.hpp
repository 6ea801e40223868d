// SPDX-License-Identifier: MIT
// Adagrad over LibTorch's fused kernel.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adagrad.h>
#include <ATen/ops/full_like.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "grouped_optimizer.hpp"

namespace fulgurite {

/// Options of `Adagrad`, with PyTorch's defaults.
struct AdagradOptions {
  double lr = 1e-2;                        ///< learning rate, 0 or more
  double lr_decay = 0.0;                   ///< the rate is divided by 1 + (step - 1) * lr_decay, 0 or more
  double weight_decay = 0.0;               ///< L2 penalty, 0 or more
  double initial_accumulator_value = 0.0;  ///< what the sums of squares start from, 0 or more
  double eps = 1e-10;                      ///< added to the denominator, 0 or more
  bool maximize = false;                   ///< climbs instead

  constexpr const char* problem() const {
    if (!(lr >= 0.0)) return "needs a learning rate of 0 or more";
    if (!(lr_decay >= 0.0)) return "needs an lr_decay of 0 or more";
    if (!(weight_decay >= 0.0)) return "needs a weight_decay of 0 or more";
    if (!(initial_accumulator_value >= 0.0)) return "needs an initial_accumulator_value of 0 or more";
    if (!(eps >= 0.0)) return "needs an eps of 0 or more";
    return nullptr;
  }

  /// Calls f(Python's name, member).
  template <class F>
  static constexpr void for_each_field(F&& f) {
    using O = AdagradOptions;
    f("lr", &O::lr);
    f("lr_decay", &O::lr_decay);
    f("eps", &O::eps);
    f("weight_decay", &O::weight_decay);
    f("initial_accumulator_value", &O::initial_accumulator_value);
    f("maximize", &O::maximize);
  }
};

namespace detail {

/// Before LibTorch 2.9 the kernel takes the rate as a number only.
template <class Rate>
concept AdagradTakesRate = requires(at::TensorList tensors, const Rate& lr) {
  at::_fused_adagrad_(tensors, tensors, tensors, tensors, lr, 0.0, 0.0, 0.0, false);
};

}  // namespace detail

/// torch.optim.Adagrad (Duchi et al., 2011).
class Adagrad : public detail::GroupedOptimizer<Adagrad, AdagradOptions, 1> {
 public:
  static constexpr const char* name = "Adagrad";
  static constexpr std::array state_names{"sum"};
  static constexpr std::array<detail::Constant, 3> constants{
      {{"foreach"}, {"differentiable", detail::Constant::Value::no}, {"fused", detail::Constant::Value::yes}}};
  static constexpr bool fused = true;
  static constexpr bool eager = true;
  static constexpr bool repeats_update = detail::AdagradTakesRate<at::Tensor>;
  using GroupedOptimizer::GroupedOptimizer;

  static at::Tensor make_state(const AdagradOptions& options, const at::Tensor& parameter, std::size_t) {
    return at::full_like(parameter, options.initial_accumulator_value, parameter.options().requires_grad(false));
  }

  /// As every optimizer's; but Python's fused Adagrad refuses what is not on a CPU, and its file must load there.
  c10::IValue state_dict() const {
    c10::IValue dict = GroupedOptimizer::state_dict();
    const auto groups = dict.toGenericDict().at("param_groups").toList();
    for (std::int64_t g = 0; g < group_count(); ++g) {
      for (const at::Tensor& parameter : parameters(g)) {
        if (parameter.is_cpu()) continue;
        groups.get(static_cast<std::size_t>(g)).toGenericDict().insert_or_assign("fused", c10::IValue());
      }
    }
    return dict;
  }

 private:
  friend GroupedOptimizer;

  void update(const AdagradOptions& options, Part& part, const detail::FusedArguments& with) {
    const auto rate = [&](const auto& lr) -> const auto& {
      if constexpr (detail::AdagradTakesRate<std::remove_cvref_t<decltype(lr)>>) {
        return lr;
      } else {
        return options.lr;
      }
    };
    at::_fused_adagrad_(part.parameters, part.gradients, part.states[0], part.steps, rate(with.lr), options.lr_decay,
                        options.weight_decay, options.eps, options.maximize, with.divisor, with.found_inf);
  }
};

}  // namespace fulgurite
