// SPDX-License-Identifier: MIT
// Any of LibTorch's own optimizers, and those derived from them, in a trainer.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/lbfgs.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/sgd.h>

#include <concepts>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/tensors/backend.hpp>
#include "gradients.hpp"
#include "optimizer.hpp"

namespace fulgurite {

/// A `torch::optim::Optimizer` as the engine wants it. `fg::optimizer(torch::optim::RMSprop(parameters()))` makes one.
template <std::derived_from<torch::optim::Optimizer> O>
class TorchOptimizer {
 public:
  template <class Precision>
  using backend = TensorBackend<Precision>;
  static constexpr bool needs_closure = std::derived_from<O, torch::optim::LBFGS>;

  explicit TorchOptimizer(O optimizer) : optimizer_(std::move(optimizer)) {}

  void step()
    requires(!needs_closure)
  {
    if (scale_.must_be_checked()) gradients().unscale();
    if (!scale_.skips()) optimizer_.step();
    scale_.begin_anew();
  }

  /// `closure()` is the loss, or nothing where training_step gave none.
  template <class Closure>
  void step(Closure&& closure)
    requires needs_closure
  {
    optimizer_.step([&]() -> at::Tensor { return *closure(); });
  }

  void zero_grad() {
    optimizer_.zero_grad();
    scale_.begin_anew();
  }

  /// As of the optimizers of this library: a step divides gradients by `scale`, and does nothing if `found_inf` is 1.
  void set_loss_scale(at::Tensor scale, at::Tensor found_inf)
    requires(!needs_closure)
  {
    scale_.loss_scale = std::move(scale);
    scale_.found_inf = std::move(found_inf);
  }

  Gradients gradients() {
    std::vector<at::Tensor> all;
    for (const auto& group : optimizer_.param_groups()) {
      for (const at::Tensor& parameter : group.params()) {
        if (parameter.grad().defined()) all.push_back(parameter.grad());
      }
    }
    return Gradients(std::move(all), &scale_);
  }

  std::int64_t group_count() const { return static_cast<std::int64_t>(optimizer_.param_groups().size()); }
  double lr(std::int64_t group) const { return options(group).get_lr(); }
  void set_lr(std::int64_t group, double lr) { options(group).set_lr(lr); }

  double momentum(std::int64_t group) const
    requires std::derived_from<O, torch::optim::SGD>
  {
    return static_cast<torch::optim::SGDOptions&>(options(group)).momentum();
  }
  void set_momentum(std::int64_t group, double momentum)
    requires std::derived_from<O, torch::optim::SGD>
  {
    static_cast<torch::optim::SGDOptions&>(options(group)).momentum(momentum);
  }

  double momentum(std::int64_t group) const
    requires(std::derived_from<O, torch::optim::Adam> || std::derived_from<O, torch::optim::AdamW>)
  {
    return std::get<0>(adam_options(group).betas());
  }
  void set_momentum(std::int64_t group, double beta1)
    requires(std::derived_from<O, torch::optim::Adam> || std::derived_from<O, torch::optim::AdamW>)
  {
    auto& options = adam_options(group);
    options.betas({beta1, std::get<1>(options.betas())});
  }

  O& wrapped() { return optimizer_; }

 private:
  torch::optim::OptimizerOptions& options(std::int64_t group) const {
    // LibTorch gives options of a group to whoever may change the group, which its const accessor does not allow.
    return const_cast<O&>(optimizer_).param_groups().at(static_cast<std::size_t>(group)).options();
  }
  auto& adam_options(std::int64_t group) const {
    if constexpr (std::derived_from<O, torch::optim::Adam>) {
      return static_cast<torch::optim::AdamOptions&>(options(group));
    } else {
      return static_cast<torch::optim::AdamWOptions&>(options(group));
    }
  }

  O optimizer_;
  detail::GradientScale scale_;
};

template <std::derived_from<torch::optim::Optimizer> O>
struct optimizer_adapter<O> {
  using type = TorchOptimizer<O>;
};

}  // namespace fulgurite
