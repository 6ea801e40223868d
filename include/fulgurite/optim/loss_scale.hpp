// SPDX-License-Identifier: MIT
// The dynamic loss scale that training in float16 needs: small gradients would be rounded to zero there.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/_amp_update_scale.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/Device.h>
#include <c10/core/GradMode.h>

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include <fulgurite/policies/policy.hpp>
#include <fulgurite/policies/precision.hpp>
#include <fulgurite/tensors/number.hpp>
#include "state_dict.hpp"

namespace fulgurite {

/// Multiplies losses by a scale and has optimizers divide it out again. An optimizer whose gradients overflowed skips its
/// step and the scale falls; after `growth_interval` steps without overflow it grows. Nothing is read on the host but
/// by `scale()` and `skipped(optimizer)`. torch.amp.GradScaler (Micikevicius et al., Mixed Precision Training, 2018).
///
///     fg::LossScale scale({.initial_scale = 1024.0});
///     scale.attach(optimizer);                      // once
///     scale.scaled(loss).backward();
///     optimizer.gradients().unscale();              // only if something looks at gradients before the step
///     optimizer.step();                             // not made if a gradient is not finite
///     scale.update();
class LossScale {
 public:
  /// Throws std::invalid_argument for options that make no sense.
  explicit LossScale(const LossScaleOptions& options = {}, at::Device device = at::kCPU)
      : options_(options),
        scale_(at::full({}, options.initial_scale, at::TensorOptions(device).dtype(at::kFloat))),
        growth_tracker_(at::zeros({}, at::TensorOptions(device).dtype(at::kInt))) {
    detail::require_sensible(options);
  }

  /// From now on `optimizer` divides its gradients by the scale, and skips a step whose gradients overflowed.
  template <class Optimizer>
  void attach(Optimizer& optimizer) {
    overflows_.push_back(at::zeros({}, scale_.options()));
    optimizer.set_loss_scale(scale_, overflows_.back());
  }

  /// The loss, multiplied by the scale.
  at::Tensor scaled(const at::Tensor& loss) const { return loss.mul(scale_); }

  /// The factor as it lies on its device: float32, no dimension.
  const at::Tensor& factor() const { return scale_; }

  /// Whether the last step of the `index`-th optimizer attached was skipped. On a GPU this waits for the step.
  bool skipped(std::size_t index = 0) const { return read_number(overflows_.at(index)) != 0.0; }

  /// Once a batch, after all steps: lets the scale fall or grow.
  void update() {
    const c10::NoGradGuard no_grad;
    const at::Tensor overflow = overflows_.size() == 1 ? overflows_.front() : at::stack(overflows_).amax();
    at::_amp_update_scale_(scale_, growth_tracker_, overflow, options_.growth_factor, options_.backoff_factor,
                           options_.growth_interval);
    for (at::Tensor& found : overflows_) found.zero_();
  }

  double scale() const { return read_number(scale_); }
  /// Steps since the scale last changed.
  std::int64_t growth_tracker() const { return growth_tracker_.item<std::int64_t>(); }

  /// In the layout of Python's `GradScaler.state_dict()`.
  c10::IValue state_dict() const {
    auto dict = detail::new_dict(c10::StringType::get());
    dict.insert("scale", scale());
    dict.insert("growth_factor", options_.growth_factor);
    dict.insert("backoff_factor", options_.backoff_factor);
    dict.insert("growth_interval", options_.growth_interval);
    dict.insert("_growth_tracker", growth_tracker());
    return dict;
  }

  /// Takes what `state_dict()` gave here or in Python. Throws std::invalid_argument before anything is changed.
  void load_state_dict(const c10::IValue& state_dict) {
    const c10::NoGradGuard no_grad;
    const auto number = [&](const char* key) {
      if (state_dict.isGenericDict()) {
        const auto dict = state_dict.toGenericDict();
        if (const auto found = dict.find(key); found != dict.end() && found->value().isScalar()) {
          return found->value().toScalar().toDouble();
        }
      }
      throw std::invalid_argument(std::string("fulgurite: this is not the state of a loss scale: it has no number `") + key +
                                  "`");
    };
    const LossScaleOptions options{number("scale"), number("growth_factor"), number("backoff_factor"),
                                   static_cast<std::int64_t>(number("growth_interval"))};
    const double tracker = number("_growth_tracker");
    detail::require_sensible(options);
    options_ = options;
    scale_.fill_(options.initial_scale);
    growth_tracker_.fill_(tracker);
  }

 private:
  LossScaleOptions options_;
  at::Tensor scale_;
  at::Tensor growth_tracker_;          // steps since the scale last changed: int32
  std::vector<at::Tensor> overflows_;  // one an optimizer: 1 if a gradient was not finite
};

}  // namespace fulgurite
