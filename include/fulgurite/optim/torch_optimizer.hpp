// SPDX-License-Identifier: MIT
// Any of LibTorch's own optimizers, and those derived from them, in a trainer.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/Type.h>
#include <torch/optim/adam.h>
#include <torch/optim/adamw.h>
#include <torch/optim/lbfgs.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/rmsprop.h>
#include <torch/optim/sgd.h>

#include <concepts>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/gradients.hpp>
#include "torch_optimizer_view.hpp"

namespace fulgurite {

/// A `torch::optim::Optimizer` as the engine wants it. `fg::optimizer(torch::optim::RMSprop(parameters()))` makes one.
template <std::derived_from<torch::optim::Optimizer> O>
class TorchOptimizer {
 public:
  template <class Precision>
  using backend = TensorBackend<Precision>;
  static constexpr bool needs_closure = std::derived_from<O, torch::optim::LBFGS>;
  static constexpr bool has_momentum = std::derived_from<O, torch::optim::SGD> || std::derived_from<O, torch::optim::Adam> ||
                                       std::derived_from<O, torch::optim::AdamW> ||
                                       std::derived_from<O, torch::optim::RMSprop>;

  /// The class without its namespaces: "SGD".
  static inline const std::string name = [] {
    const std::string whole = c10::demangle(typeid(O).name());
    return whole.substr(whole.rfind(':') + 1);
  }();

  explicit TorchOptimizer(O optimizer) : optimizer_(std::move(optimizer)) {}

  void step()
    requires(!needs_closure)
  {
    scale_.begin_step(name.c_str());
    if (scale_.scaled()) gradients().divide_by_scale();
    if (!scale_.skips()) optimizer_.step();
    scale_.end_step();
  }

  /// `closure()` is the loss. Throws std::logic_error if it gives none: LibTorch's LBFGS could not go on.
  template <class Closure>
  void step(Closure&& closure)
    requires needs_closure
  {
    optimizer_.step([&]() -> at::Tensor {
      const auto& loss = closure();
      if (!loss) {
        throw std::logic_error(
            "fulgurite: torch::optim::LBFGS needs a loss in every evaluation: fg::LBFGS can leave a batch out");
      }
      return *loss;
    });
  }

  void zero_grad() {
    optimizer_.zero_grad();
    mark_gradients_new();
  }
  /// As of the optimizers of this library: for a replay, which zeroes gradients without the optimizer.
  void mark_gradients_new() { scale_.stage->begin_anew(); }

  /// As of the optimizers of this library: a step divides gradients by `scale`, writes into `found_inf` whether one of them
  /// is not finite, and does nothing then.
  void set_loss_scale(const at::Tensor& scale, const at::Tensor& found_inf,
                      std::shared_ptr<detail::GradientStage> stage = nullptr)
    requires(!needs_closure)
  {
    scale_.set(scale, found_inf, std::move(stage));
  }

  Gradients gradients() {
    std::vector<at::Tensor> all;
    for_each_parameter([&](const at::Tensor& parameter) {
      if (at::Tensor values = detail::gradient_values(parameter); values.defined()) all.push_back(std::move(values));
    });
    return Gradients(std::move(all), &scale_);
  }

  /// Calls f(parameter) for the parameters of all groups.
  template <class F>
  void for_each_parameter(F&& f) {
    for (const auto& group : optimizer_.param_groups()) {
      for (const at::Tensor& parameter : group.params()) f(parameter);
    }
  }

  std::int64_t group_count() const { return rates().group_count(); }
  double lr(std::int64_t group) const { return rates().lr(group); }
  void set_lr(std::int64_t group, double lr) { rates().set_lr(group, lr); }

  double momentum(std::int64_t group) const
    requires has_momentum
  {
    return rates().momentum(group);
  }
  void set_momentum(std::int64_t group, double momentum)
    requires has_momentum
  {
    rates().set_momentum(group, momentum);
  }

  O& wrapped() { return optimizer_; }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    if constexpr (Archive::loads) optimizer_.state().clear();  // LibTorch only adds to it
    archive("wrapped", optimizer_);
    archive("next_update", scale_);
  }

 private:
  // LibTorch gives the options of a group to whoever may change the group, which its const accessor does not allow.
  TorchOptimizerView rates() const { return TorchOptimizerView(const_cast<O&>(optimizer_)); }

  O optimizer_;
  detail::GradientScale scale_;
};

template <std::derived_from<torch::optim::Optimizer> O>
struct optimizer_adapter<O> {
  using type = TorchOptimizer<O>;
};

}  // namespace fulgurite
