// SPDX-License-Identifier: MIT
// What the optimizers over LibTorch's fused kernels share: groups, which parameters got a gradient, per-parameter state.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/tensors/backend.hpp>
#include "gradients.hpp"
#include "parameters.hpp"

namespace fulgurite::detail {

/// `Derived::update(options, lists, divisor)` updates the parameters of one group that have a gradient. A parameter
/// without one keeps its value and its state, as in PyTorch. `States`: state tensors a parameter (momenta, say), of which
/// `Derived::states_in_use(options)` are needed.
template <class Derived, class Options, std::size_t States>
class FusedOptimizer {
 public:
  template <class Precision>
  using backend = TensorBackend<Precision>;

  /// What one call of a fused kernel works on, list by list, in the same order.
  struct Lists {
    std::vector<at::Tensor> parameters;
    std::vector<at::Tensor> gradients;
    std::array<std::vector<at::Tensor>, States> states;
    std::vector<at::Tensor> steps;  // updates made, this one included: float32, of no dimension
    std::vector<bool> first_steps;  // whether this is a parameter's first update

    void clear() {
      parameters.clear();
      gradients.clear();
      for (auto& state : states) state.clear();
      steps.clear();
      first_steps.clear();
    }
  };

  FusedOptimizer(std::vector<at::Tensor> parameters, Options options)
      : FusedOptimizer(std::vector<ParameterGroup<Options>>{{std::move(parameters), std::move(options)}}) {}

  explicit FusedOptimizer(std::vector<ParameterGroup<Options>> groups) {
    require_trainable(groups, Derived::name);
    for (auto& group : groups) groups_.push_back(Group{std::move(group.parameters), std::move(group.options), {}, true});
    for (auto& group : groups_) {
      group.state.resize(group.parameters.size());
      for (const at::Tensor& parameter : group.parameters) folds_ &= parameter.scalar_type() == at::kFloat;
    }
  }

  /// Updates every parameter that has a gradient.
  void step() {
    const c10::NoGradGuard no_grad;
    for (Group& group : groups_) {
      collect(group);
      if (lists_.parameters.empty()) continue;
      const std::optional<at::Tensor> divisor = divisor_.defined() ? std::optional(divisor_) : std::nullopt;
      static_cast<Derived*>(this)->update(group.options, lists_, divisor);
    }
    lists_.clear();  // a list that held gradients would keep backward from reusing their memory
    divisor_.reset();
  }

  /// Forgets all gradients.
  void zero_grad() {
    for (Group& group : groups_) {
      for (at::Tensor& parameter : group.parameters) parameter.mutable_grad().reset();
    }
  }

  Gradients gradients() {
    std::vector<at::Tensor> all;
    for (const Group& group : groups_) {
      for (const at::Tensor& parameter : group.parameters) {
        if (parameter.grad().defined()) all.push_back(parameter.grad());
      }
    }
    return Gradients(std::move(all), folds_ ? &divisor_ : nullptr);
  }

  std::int64_t group_count() const { return static_cast<std::int64_t>(groups_.size()); }
  double lr(std::int64_t group) const { return at(group).options.lr; }
  void set_lr(std::int64_t group, double lr) { at(group).options.lr = lr; }

  const std::vector<at::Tensor>& parameters(std::int64_t group = 0) const { return at(group).parameters; }
  const Options& options(std::int64_t group = 0) const { return at(group).options; }
  Options& options(std::int64_t group = 0) { return at(group).options; }

 private:
  struct ParameterState {
    std::array<at::Tensor, States> tensors;
    at::Tensor step;  // undefined before the first update
  };

  struct Group {
    std::vector<at::Tensor> parameters;
    Options options;
    std::vector<ParameterState> state;
    bool in_step;  // all parameters have made the same updates, and share one step counter
  };

  Group& at(std::int64_t group) { return groups_.at(static_cast<std::size_t>(group)); }
  const Group& at(std::int64_t group) const { return groups_.at(static_cast<std::size_t>(group)); }

  /// Fills `lists_` with what has a gradient, and counts its step.
  void collect(Group& group) {
    lists_.clear();
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      const at::Tensor& parameter = group.parameters[i];
      const at::Tensor& gradient = parameter.grad();
      if (!gradient.defined()) continue;
      if (gradient.layout() != at::kStrided) {
        throw std::invalid_argument("fulgurite: " + std::string(Derived::name) +
                                    " was given a sparse gradient, which its kernel cannot take: use "
                                    "torch::optim::SGD or Embedding without .sparse(true)");
      }
      lists_.parameters.push_back(parameter);
      // The kernels walk memory: a gradient laid out otherwise than its parameter is copied into the parameter's layout.
      lists_.gradients.push_back(gradient.strides() == parameter.strides()
                                     ? gradient
                                     : at::empty_like(parameter).copy_(gradient));
    }
    if constexpr (States > 0) collect_state(group);
  }

  void collect_state(Group& group) {
    if (group.in_step && lists_.parameters.size() != group.parameters.size()) part_ways(group);
    at::Tensor shared;
    for (std::size_t i = 0; i < group.parameters.size(); ++i) {
      const at::Tensor& parameter = group.parameters[i];
      if (!parameter.grad().defined()) continue;
      ParameterState& state = group.state[i];
      lists_.first_steps.push_back(!state.step.defined());
      if (!state.step.defined()) {
        for (std::size_t k = 0; k < Derived::states_in_use(group.options); ++k) state.tensors[k] = at::zeros_like(parameter);
        if (!group.in_step || !shared.defined()) {
          shared = at::zeros({}, parameter.options().dtype(at::kFloat).requires_grad(false));
        }
        state.step = shared;
      }
      for (std::size_t k = 0; k < States; ++k) {
        if (state.tensors[k].defined()) lists_.states[k].push_back(state.tensors[k]);
      }
      lists_.steps.push_back(state.step);
    }
    if (lists_.steps.empty()) return;
    if (group.in_step) {
      lists_.steps.front().add_(1);
    } else {
      at::_foreach_add_(lists_.steps, 1);
    }
  }

  /// From here on each parameter counts its own steps.
  static void part_ways(Group& group) {
    group.in_step = false;
    for (ParameterState& state : group.state) {
      if (state.step.defined()) state.step = state.step.clone();
    }
  }

  std::vector<Group> groups_;
  Lists lists_;         // kept for its capacity: a steady step allocates nothing
  at::Tensor divisor_;  // of the next update's gradients, from clipping; undefined: 1
  bool folds_ = true;   // the kernels take the divisor in float32 only: too coarse for float64, and of another type than bfloat16 norms
};

}  // namespace fulgurite::detail
