// SPDX-License-Identifier: MIT
// What holds for a scope: autocast around the forward pass, evaluation mode around a validation.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/autocast_mode.h>
#include <ATen/core/Generator.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

namespace fulgurite {

/// Autocast to a format on one kind of device, for a scope; or its absence, inside of such a scope.
class AutocastGuard {
 public:
  AutocastGuard(at::DeviceType device, at::ScalarType format, bool enabled)
      : device_(device),
        was_enabled_(at::autocast::is_autocast_enabled(device)),
        was_format_(at::autocast::get_autocast_dtype(device)) {
    at::autocast::set_autocast_enabled(device, enabled);
    at::autocast::set_autocast_dtype(device, format);
    at::autocast::increment_nesting();
  }
  AutocastGuard(const AutocastGuard&) = delete;
  AutocastGuard& operator=(const AutocastGuard&) = delete;
  ~AutocastGuard() {
    // The cast parameters that autocast keeps are those of this batch.
    if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
    at::autocast::set_autocast_dtype(device_, was_format_);
    at::autocast::set_autocast_enabled(device_, was_enabled_);
  }

 private:
  at::DeviceType device_;
  bool was_enabled_;
  at::ScalarType was_format_;
};

/// Whatever is drawn in a scope, afterwards the generators go on where they stood.
class RandomGuard {
 public:
  explicit RandomGuard(std::vector<at::Generator> generators) : generators_(std::move(generators)) {
    for (at::Generator& generator : generators_) {
      const std::lock_guard lock(generator.mutex());
      states_.push_back(generator.get_state());
    }
  }
  RandomGuard(const RandomGuard&) = delete;
  RandomGuard& operator=(const RandomGuard&) = delete;
  ~RandomGuard() {
    for (std::size_t i = 0; i < generators_.size(); ++i) {
      const std::lock_guard lock(generators_[i].mutex());
      generators_[i].set_state(states_[i]);
    }
  }

 private:
  std::vector<at::Generator> generators_;
  std::vector<at::Tensor> states_;
};

/// Evaluation mode without gradients; at its end every module is in the mode in which it was, and the generators go on where
/// they stood, so that a validation does not change the training.
template <class Model>
class EvaluationGuard {
 public:
  EvaluationGuard(Model& model, std::vector<at::Generator> generators)
      : model_(&model), random_(std::move(generators)), no_grad_(false) {
    if constexpr (has_modes) {
      was_training_ = model.is_training();
      for (const auto& module : model.modules(/*include_self=*/false)) training_.push_back(module->is_training());
      model.eval();
    }
  }
  EvaluationGuard(const EvaluationGuard&) = delete;
  EvaluationGuard& operator=(const EvaluationGuard&) = delete;
  ~EvaluationGuard() {
    if constexpr (has_modes) {
      // From the outside in: train(on) sets the modules below too, which come later in the list.
      model_->train(was_training_);
      std::size_t next = 0;
      for (const auto& module : model_->modules(/*include_self=*/false)) module->train(training_[next++]);
    }
  }

 private:
  static constexpr bool has_modes = requires(Model& model) {
    model.is_training();
    model.modules(false);
  };

  Model* model_;
  RandomGuard random_;
  c10::AutoGradMode no_grad_;
  bool was_training_ = true;
  std::vector<bool> training_;
};

}  // namespace fulgurite
