// SPDX-License-Identifier: MIT
// Running statistics of batch norm for weights that were never trained on, such as averaged ones.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/concepts/batches.hpp>
#include "averaged_model.hpp"

namespace fulgurite {

/// While it lives, every forward pass of the model counts the same in the running statistics of its batch norms, which
/// start anew: training mode, and a cumulative mean in place of the momentum. At its end modes and momenta are as they
/// were; the statistics too, unless `keep()` was called.
class BatchNormRefresh {
 public:
  explicit BatchNormRefresh(torch::nn::Module& model) : model_(&model) {
    visit(&model);
    for (const auto& module : model.modules(/*include_self=*/false)) visit(module.get());
    if (empty()) return;
    was_training_.push_back(model.is_training());
    for (const auto& module : model.modules(/*include_self=*/false)) was_training_.push_back(module->is_training());

    for (Norm& norm : norms_) {  // all of them first: a norm may be registered twice
      for (std::size_t i = 0; i < norm.statistics.size(); ++i) norm.before[i] = norm.statistics[i].clone();
    }
    for (Norm& norm : norms_) {
      norm.statistics[0].zero_();   // mean
      norm.statistics[1].fill_(1);  // variance
      norm.statistics[2].zero_();   // batches seen
      norm.options->momentum(std::nullopt);
    }
    model.train();
  }
  BatchNormRefresh(const BatchNormRefresh&) = delete;
  BatchNormRefresh& operator=(const BatchNormRefresh&) = delete;
  ~BatchNormRefresh() {
    if (empty()) return;
    for (Norm& norm : norms_) {
      norm.options->momentum(norm.momentum);
      for (std::size_t i = 0; !kept_ && i < norm.statistics.size(); ++i) norm.statistics[i].copy_(norm.before[i]);
    }
    // From the outside in: train(on) sets the modules below too, which come later in the list.
    std::size_t next = 0;
    model_->train(was_training_[next++]);
    for (const auto& module : model_->modules(/*include_self=*/false)) module->train(was_training_[next++]);
  }

  bool empty() const { return norms_.empty(); }  ///< the model has no batch norm with running statistics
  void keep() { kept_ = true; }                  ///< the pass is done: its statistics stay

  /// Whether a model has anything to refresh.
  static bool needed(torch::nn::Module& model) {
    if (has_statistics(&model)) return true;
    for (const auto& module : model.modules(/*include_self=*/false)) {
      if (has_statistics(module.get())) return true;
    }
    return false;
  }

 private:
  struct Norm {
    torch::nn::BatchNormOptions* options;
    std::optional<double> momentum;
    std::array<at::Tensor, 3> statistics;
    std::array<at::Tensor, 3> before;
  };

  static bool has_statistics(torch::nn::Module* module) {
    bool found = false;
    detail::with_batch_norm(module, [&](auto&) { found = true; });
    return found;
  }
  void visit(torch::nn::Module* module) {
    detail::with_batch_norm(module, [&](auto& norm) {
      norms_.push_back({&norm.options,
                        norm.options.momentum(),
                        {norm.running_mean, norm.running_var, norm.num_batches_tracked},
                        {}});
    });
  }

  torch::nn::Module* model_;
  std::vector<Norm> norms_;
  std::vector<bool> was_training_;  // the model, then its modules
  bool kept_ = false;
};

namespace detail {

template <class Batch>
inline constexpr bool is_batch_with_first = false;
template <class First, class Second>
inline constexpr bool is_batch_with_first<std::pair<First, Second>> = true;
template <class First, class... Rest>
inline constexpr bool is_batch_with_first<std::tuple<First, Rest...>> = true;

/// What a batch gives to the model's forward: itself, its data, or its first element.
template <class Batch>
const auto& input_of(const Batch& batch) {
  if constexpr (requires { batch.data; }) {
    return batch.data;
  } else if constexpr (is_batch_with_first<Batch>) {
    return std::get<0>(batch);
  } else {
    return batch;
  }
}

}  // namespace detail

/// Computes the running mean and variance of every batch norm anew: the mean over one pass of `batches`, in training
/// mode and without gradients, where `forward(batch)` passes a batch through the model. Modes and momenta are afterwards
/// as they were. torch.optim.swa_utils.update_bn.
///
/// Returns the number of batches; a model without batch norm is passed nothing. Throws std::invalid_argument if there is
/// no batch. If that or anything else is thrown, the old statistics are back.
template <class Model, data::Batches Range, class Forward>
std::int64_t update_bn(Model&& model, Range&& batches, Forward&& forward) {
  BatchNormRefresh refresh(detail::module_in(model));
  if (refresh.empty()) return 0;
  const c10::NoGradGuard no_grad;
  const std::int64_t count = data::for_each_batch(batches, [&](const auto& batch, bool) {
    forward(batch);
    return true;
  });
  if (count == 0) throw std::invalid_argument("fulgurite: update_bn was given no batch to compute statistics of");
  refresh.keep();
  return count;
}

/// The same with the model's own `forward`, which is given the batch if it is a tensor, else its `data` or first element.
/// A tensor is moved to the device of the statistics.
template <class Model, data::Batches Range>
std::int64_t update_bn(Model&& model, Range&& batches) {
  auto& module = detail::module_in(model);
  const std::vector<at::Tensor> buffers = module.buffers();  // with no statistics among them no batch is passed
  return update_bn(model, batches, [&](const auto& batch) {
    const auto& input = detail::input_of(batch);
    if constexpr (std::same_as<std::remove_cvref_t<decltype(input)>, at::Tensor>) {
      module.forward(input.to(buffers.front().device()));
    } else {
      module.forward(input);
    }
  });
}

}  // namespace fulgurite
