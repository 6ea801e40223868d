// SPDX-License-Identifier: MIT
// A model as tapes see it: its tensors by name, what must not change under them, and which gradients a pass writes.
#pragma once

#include <ATen/core/Tensor.h>
#include <torch/csrc/autograd/edge.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/accumulate_grad.h>
#include <torch/nn/module.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <unordered_set>
#include <vector>

#include <fulgurite/frozen/verification.hpp>
#include <fulgurite/tensors/parameter_toggles.hpp>

namespace fulgurite::detail {

class FrozenModel {
 public:
  template <class Model, class Optimizer>
  FrozenModel(Model& model, Optimizer& optimizer) : zeroed_are_known_(TellsParameters<Optimizer>), self_(&model) {
    std::unordered_set<const at::TensorImpl*> zeroed;
    if constexpr (TellsParameters<Optimizer>) {
      optimizer.for_each_parameter([&](const at::Tensor& parameter) { zeroed.insert(parameter.unsafeGetTensorImpl()); });
    }
    for (const auto& parameter : model.named_parameters()) {
      state_.parameters.emplace_back(parameter.key(), parameter.value());
      (zeroed.contains(parameter.value().unsafeGetTensorImpl()) ? zeroed_ : others_).push_back(parameter.value());
    }
    state_.tensors = state_.parameters;
    for (const auto& buffer : model.named_buffers()) state_.tensors.emplace_back(buffer.key(), buffer.value());
    below_ = model.modules(/*include_self=*/false);
  }

  const FrozenState& state() const { return state_; }

  /// Those whose gradients are, after each replay, as the recorded pass left them. `begins_window`: the optimizer forgets
  /// the gradients of its parameters, also of those that require none.
  std::vector<at::Tensor> written_parameters(bool begins_window) const {
    std::vector<at::Tensor> written;
    const auto add = [&written](const std::vector<at::Tensor>& parameters, bool all) {
      std::ranges::copy_if(parameters, std::back_inserter(written),
                           [all](const at::Tensor& parameter) { return all || parameter.requires_grad(); });
    };
    add(zeroed_, begins_window);
    add(others_, !zeroed_are_known_);
    return written;
  }

  /// Another number if a tensor has another address, another parameter requires gradients, or a module changed its mode.
  std::size_t modes() const {
    std::size_t hash = 0;
    for (const auto& [name, tensor] : state_.tensors) {
      mix(hash, reinterpret_cast<std::size_t>(tensor.const_data_ptr()) + (tensor.requires_grad() ? 1 : 0));
    }
    mix(hash, self_->is_training() ? 2 : 3);
    for (const auto& module : below_) mix(hash, module->is_training() ? 2 : 3);
    return hash;
  }

  /// Another number for other modes, and if the pass finds other parameters with gradients to add to.
  std::size_t fingerprint(bool begins_window) const {
    std::size_t hash = modes();
    if (!begins_window) mix_gradients(hash, zeroed_);
    mix_gradients(hash, others_);
    return hash;
  }

 private:
  static void mix(std::size_t& hash, std::size_t fact) { hash = (hash ^ fact) * 0x9e3779b97f4a7c15u; }

  void mix_gradients(std::size_t& hash, const std::vector<at::Tensor>& parameters) const {
    for (const at::Tensor& parameter : parameters) {
      mix(hash, (parameter.requires_grad() || !zeroed_are_known_) && parameter.grad().defined() ? 4 : 5);
    }
  }

  FrozenState state_;
  bool zeroed_are_known_;                // which parameters the optimizer has; if not, all are `others_`
  std::vector<at::Tensor> zeroed_;   // parameters whose gradients the optimizer forgets when a window begins
  std::vector<at::Tensor> others_;
  const torch::nn::Module* self_;
  std::vector<std::shared_ptr<torch::nn::Module>> below_;
};

/// Tensors beside the model's parameters and the batch that backward from `loss` leaves a gradient in.
inline std::vector<at::Tensor> other_leaves(const at::Tensor& loss, const FrozenState& state,
                                            const std::vector<at::Tensor>& inputs) {
  std::vector<at::Tensor> leaves;
  std::vector<const torch::autograd::Node*> to_visit{loss.grad_fn().get()};
  std::unordered_set<const torch::autograd::Node*> seen{nullptr};
  while (!to_visit.empty()) {
    const torch::autograd::Node* node = to_visit.back();
    to_visit.pop_back();
    if (!seen.insert(node).second) continue;
    for (const torch::autograd::Edge& edge : node->next_edges()) to_visit.push_back(edge.function.get());
    const auto* end = dynamic_cast<const torch::autograd::AccumulateGrad*>(node);
    if (!end) continue;
    const auto is_end = [end](const at::Tensor& tensor) { return tensor.is_same(end->variable); };
    const bool known = std::ranges::any_of(
                           state.parameters, is_end, [](const auto& each) -> auto& { return each.second; }) ||
                       std::ranges::any_of(inputs, is_end);
    if (!known) leaves.push_back(end->variable);
  }
  return leaves;
}

}  // namespace fulgurite::detail
