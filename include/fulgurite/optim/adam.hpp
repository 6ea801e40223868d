// SPDX-License-Identifier: MIT
// Adam and AdamW over LibTorch's fused kernels: they differ in how weights decay, and in nothing else.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_fused_adam.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "fused_optimizer.hpp"

namespace fulgurite {

/// Decay rates of Adam's two running means.
struct Betas {
  double first = 0.9;     ///< of the gradient, in [0, 1)
  double second = 0.999;  ///< of its square, in [0, 1)

  friend constexpr bool operator==(Betas, Betas) = default;
};

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
    if (!(betas.first >= 0.0 && betas.first < 1.0 && betas.second >= 0.0 && betas.second < 1.0)) {
      return "needs betas in [0, 1)";
    }
    return nullptr;
  }
};

namespace detail {

// What the Adam family shares: two running means, a third for amsgrad.
template <class Derived, class Options>
class AdamFamily : public FusedOptimizer<Derived, Options, 3> {
 public:
  using FusedOptimizer<Derived, Options, 3>::FusedOptimizer;

  double momentum(std::int64_t group) const { return this->options(group).betas.first; }
  void set_momentum(std::int64_t group, double beta1) { this->options(group).betas.first = beta1; }
  static std::size_t states_in_use(const Options& options) { return options.amsgrad ? 3 : 2; }

 protected:
  template <class Kernel, class Lists>
  static void call(Kernel kernel, const Options& options, Lists& lists, const std::optional<at::Tensor>& divisor) {
    kernel(lists.parameters, lists.gradients, lists.states[0], lists.states[1],
           options.amsgrad ? at::TensorList(lists.states[2]) : at::TensorList(), lists.steps, options.lr,
           options.betas.first, options.betas.second, options.weight_decay, options.eps, options.amsgrad,
           options.maximize, divisor, std::nullopt);
  }
};

}  // namespace detail

/// torch.optim.Adam (Kingma and Ba, 2015); weight decay is an L2 penalty on the loss.
class Adam : public detail::AdamFamily<Adam, AdamOptions> {
 public:
  static constexpr const char* name = "Adam";
  using AdamFamily::AdamFamily;

 private:
  friend FusedOptimizer;
  void update(const AdamOptions& options, Lists& lists, const std::optional<at::Tensor>& divisor) {
    call([](auto&&... arguments) { at::_fused_adam_(arguments...); }, options, lists, divisor);
  }
};

}  // namespace fulgurite
