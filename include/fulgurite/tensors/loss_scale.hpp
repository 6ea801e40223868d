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

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/policies/policy.hpp>
#include <fulgurite/policies/precision.hpp>
#include "gradients.hpp"
#include "ivalue.hpp"
#include "number.hpp"

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
///
/// Of each optimizer there is one step, and at most one unscale() before it, between two calls of update(), or of its
/// zero_grad(): another one throws std::logic_error, as it would divide the gradients twice. An overflow in any of the steps
/// since the last update() lets the scale fall.
class LossScale {
 public:
  /// Throws std::invalid_argument for invalid options.
  explicit LossScale(const LossScaleOptions& options = {}, at::Device device = at::kCPU)
      : options_(options),
        scale_(at::full({}, options.enabled ? options.initial_scale : 1.0, at::TensorOptions(device).dtype(at::kFloat))),
        growth_tracker_(at::zeros({}, at::TensorOptions(device).dtype(at::kInt))) {
    detail::require_sensible(options);
  }

  /// From now on `optimizer` divides its gradients by the scale, and skips a step whose gradients overflowed.
  template <class Optimizer>
  void attach(Optimizer& optimizer) {
    if (!options_.enabled) return;
    Attached& attached = attached_.emplace_back(Attached{at::zeros({}, scale_.options()), nullptr});
    if constexpr (requires { optimizer.set_loss_scale(scale_, attached.overflow, attached.stage); }) {
      attached.stage = std::make_shared<detail::GradientStage>();
      optimizer.set_loss_scale(scale_, attached.overflow, attached.stage);
    } else {
      optimizer.set_loss_scale(scale_, attached.overflow);
    }
  }

  /// False: losses are not multiplied, and all other calls do nothing.
  bool is_enabled() const { return options_.enabled; }

  /// The loss, multiplied by the scale.
  at::Tensor scaled(const at::Tensor& loss) const { return options_.enabled ? loss.mul(scale_) : loss; }

  /// The factor on its device: float32, no dimension.
  const at::Tensor& factor() const { return scale_; }

  /// Whether the last step of the `index`-th optimizer attached was skipped. On a GPU this waits for the step.
  bool skipped(std::size_t index = 0) const {
    return options_.enabled && read_number(attached_.at(index).overflow) != 0.0;
  }

  /// Once per batch, after all steps: lets the scale fall or grow. Throws std::logic_error if no optimizer has checked
  /// gradients for overflow since the last update().
  void update() {
    if (!options_.enabled) return;
    require_checks();
    std::vector<at::Tensor> overflows;
    for (const Attached& attached : attached_) {
      overflows.push_back(attached.overflow);
      if (attached.stage && attached.stage->found_before.defined()) overflows.push_back(attached.stage->found_before);
    }
    const at::Tensor overflow = overflows.size() == 1 ? overflows.front() : at::stack(overflows).amax();
    at::_amp_update_scale_(scale_, growth_tracker_, overflow, options_.growth_factor, options_.backoff_factor,
                           options_.growth_interval);
    begin_anew();
  }
  /// Once per batch, after all steps: the scale becomes `new_scale`, whatever overflowed. Throws std::invalid_argument
  /// unless it is above 0 and finite.
  void update(double new_scale) {
    if (!options_.enabled) return;
    if (!(new_scale > 0.0 && std::isfinite(new_scale))) {
      throw std::invalid_argument("fulgurite: a loss scale is above 0 and finite, and update was given " +
                                  detail::text_of(new_scale));
    }
    scale_.fill_(new_scale);
    begin_anew();
  }
  /// Once per batch, after all steps: the scale becomes the number in `new_scale`, which is not read on the host. Throws
  /// std::invalid_argument unless it is one element that requires no gradient, on the scale's device.
  void update(const at::Tensor& new_scale) {
    if (!options_.enabled) return;
    if (!new_scale.defined() || new_scale.numel() != 1 || new_scale.requires_grad() ||
        new_scale.device() != scale_.device()) {
      throw std::invalid_argument("fulgurite: update takes a new loss scale of one element that requires no gradient, on " +
                                  scale_.device().str());
    }
    scale_.copy_(new_scale.view(at::IntArrayRef{}));
    begin_anew();
  }

  double scale() const { return read_number(scale_); }
  /// Steps since the scale last changed.
  std::int64_t growth_tracker() const { return growth_tracker_.item<std::int64_t>(); }

  double growth_factor() const { return options_.growth_factor; }
  double backoff_factor() const { return options_.backoff_factor; }
  std::int64_t growth_interval() const { return options_.growth_interval; }
  // Each throws std::invalid_argument for what the constructor refuses.
  void set_growth_factor(double factor) { set(&LossScaleOptions::growth_factor, factor); }
  void set_backoff_factor(double factor) { set(&LossScaleOptions::backoff_factor, factor); }
  void set_growth_interval(std::int64_t interval) { set(&LossScaleOptions::growth_interval, interval); }

  /// New gradients have come: each optimizer may step on its own again before the next update(). For a trainer, which knows
  /// it.
  void begin_backward() {
    for (const Attached& attached : attached_) {
      if (attached.stage) attached.stage->stepped = false;
    }
  }

  /// In the layout of Python's `GradScaler.state_dict()`: empty if it is not enabled.
  c10::IValue state_dict() const {
    auto dict = detail::new_dict(c10::StringType::get());
    if (!options_.enabled) return dict;
    dict.insert("scale", scale());
    dict.insert("growth_factor", options_.growth_factor);
    dict.insert("backoff_factor", options_.backoff_factor);
    dict.insert("growth_interval", options_.growth_interval);
    dict.insert("_growth_tracker", growth_tracker());
    return dict;
  }

  /// Takes what `state_dict()` gave here or in Python; does nothing if it is not enabled. Throws std::invalid_argument
  /// before anything is changed.
  void load_state_dict(const c10::IValue& state_dict) {
    if (!options_.enabled) return;
    if (state_dict.isGenericDict() && state_dict.toGenericDict().empty()) {
      throw std::invalid_argument(
          "fulgurite: this state of a loss scale is empty: it was saved by one that was not enabled");
    }
    const auto number = [&](const std::string& key) {
      const auto found = detail::find(state_dict, key);
      if (found && found->isScalar()) return found->toScalar().toDouble();
      throw std::invalid_argument("fulgurite: this is not the state of a loss scale: " +
                                  (found ? "its `" + key + "` is not a number" : "it has no `" + key + "`"));
    };
    const LossScaleOptions options{.initial_scale = number("scale"),
                                   .growth_factor = number("growth_factor"),
                                   .backoff_factor = number("backoff_factor"),
                                   .growth_interval = static_cast<std::int64_t>(number("growth_interval"))};
    const double tracker = number("_growth_tracker");
    detail::require_sensible(options);
    options_ = options;
    scale_.fill_(options.initial_scale);
    growth_tracker_.fill_(tracker);
  }

 private:
  struct Attached {
    at::Tensor overflow;                          // 1 if a gradient was not finite
    std::shared_ptr<detail::GradientStage> stage;  // nullptr: the optimizer does not say what it has done
  };

  template <class Number>
  void set(Number LossScaleOptions::*field, Number value) {
    LossScaleOptions options = options_;
    options.*field = value;
    detail::require_sensible(options);
    options_ = options;
  }

  void require_checks() const {
    const auto has_checked = [](const Attached& attached) { return !attached.stage || attached.stage->checked; };
    if (std::any_of(attached_.begin(), attached_.end(), has_checked)) return;
    throw std::logic_error(std::string("fulgurite: update() of a loss scale ") +
                           (attached_.empty()
                                ? "that no optimizer is attached to: call attach(optimizer) once, before training"
                                : "without a step of an optimizer that has gradients since the last one: call "
                                  "update() after the step"));
  }

  void begin_anew() {
    for (const Attached& attached : attached_) {
      attached.overflow.zero_();
      if (attached.stage) *attached.stage = {};
    }
  }

  LossScaleOptions options_;
  at::Tensor scale_;
  at::Tensor growth_tracker_;  // steps since the scale last changed: int32
  std::vector<Attached> attached_;
};

}  // namespace fulgurite
