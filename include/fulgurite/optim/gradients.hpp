// SPDX-License-Identifier: MIT
// All gradients of an optimizer, as clipping policies see them.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/_amp_foreach_non_finite_check_and_unscale.h>
#include <ATen/ops/_foreach_clamp_max.h>
#include <ATen/ops/_foreach_clamp_min.h>
#include <ATen/ops/_foreach_div.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

namespace fulgurite {

namespace detail {

/// What the next update divides gradients by, and whether it happens.
struct GradientScale {
  at::Tensor loss_scale;  // the loss was multiplied by it: float32, of no dimension; undefined: 1
  at::Tensor found_inf;   // 1: some gradient is not finite, and the update does nothing; undefined: 0
  at::Tensor clipping;    // divisor that clipping asks for; undefined: 1
  bool unscaled = false;  // these gradients have been divided by the loss scale already
  bool folds = false;     // the optimizer's kernel divides by the clipping's divisor in passing

  bool scaled() const { return loss_scale.defined() && !unscaled; }

  /// The update may have to be skipped, and nobody has looked yet.
  bool must_be_checked() const { return scaled() && found_inf.defined(); }

  /// The update has to be skipped. On a GPU this waits for the gradients.
  bool skips() const { return found_inf.defined() && found_inf.item<double>() != 0.0; }

  /// All of it in one tensor; undefined: 1.
  at::Tensor divisor() const {
    if (!scaled()) return clipping;
    return clipping.defined() ? clipping.mul(loss_scale) : loss_scale;
  }

  /// The next update is not like others.
  bool is_pending() const { return clipping.defined() || unscaled; }

  /// For a checkpoint: what was asked of the next update alone.
  template <class Archive>
  void state(Archive& archive) {
    archive("clipping", clipping);
    archive("unscaled", unscaled);
  }

  /// After an update, or for new gradients. The loss scale stays.
  void begin_anew() {
    clipping.reset();
    unscaled = false;
  }
};

}  // namespace detail

/// The gradients that exist, by reference: what is done here is done to the parameters' own. An optimizer whose kernel
/// divides by a factor anyway takes the clipping coefficient into it and saves a pass. Under a loss scale, norms and
/// limits are those of the gradients without it.
class Gradients {
 public:
  explicit Gradients(std::vector<at::Tensor> gradients, detail::GradientScale* scale = nullptr)
      : gradients_(std::move(gradients)), scale_(scale) {}

  const std::vector<at::Tensor>& tensors() const { return gradients_; }

  /// The p-norm of all gradients together: a tensor of no dimension, not read back.
  at::Tensor norm(double norm_type = 2.0) const {
    const c10::NoGradGuard no_grad;
    at::Tensor total = at::linalg_vector_norm(at::stack(at::_foreach_norm(gradients_, norm_type)), norm_type);
    const at::Tensor divisor = scale_ ? scale_->divisor() : at::Tensor();
    return divisor.defined() ? total.div_(divisor) : total;
  }

  /// Whether `norm` is finite, for which the host waits. Under a loss scale it need not be: a step on such gradients is skipped.
  bool is_finite(double norm_type = 2.0) const {
    if (gradients_.empty() || (scale_ && scale_->found_inf.defined())) return true;
    return std::isfinite(norm(norm_type).item<double>());
  }

  /// g *= min(1, max / (norm + 1e-6)), as torch.nn.utils.clip_grad_norm_. Returns the norm before, as `norm` does.
  at::Tensor clip_norm(double max, double norm_type = 2.0) const {
    if (gradients_.empty()) return at::zeros({});
    const c10::NoGradGuard no_grad;
    at::Tensor total = norm(norm_type);
    if (scale_ && scale_->folds) {
      at::Tensor divisor = total.add(1e-6).div_(max).clamp_min_(1.0);
      scale_->clipping = scale_->clipping.defined() ? divisor.mul_(scale_->clipping) : std::move(divisor);
    } else {
      at::_foreach_mul_(gradients_, total.add(1e-6).reciprocal_().mul_(max).clamp_max_(1.0));
    }
    return total;
  }

  /// Clamps each element into [-max, max], as torch.nn.utils.clip_grad_value_.
  void clip_value(double max) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    unscale();
    at::_foreach_clamp_min_(gradients_, -max);
    at::_foreach_clamp_max_(gradients_, max);
  }

  /// Multiplies every gradient.
  void scale(double factor) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    at::_foreach_mul_(gradients_, factor);
  }

  /// Divides every gradient by the loss scale and by what clipping has asked for, now instead of in the update; and finds
  /// out, without reading it, whether one of them is not finite.
  void unscale() const {
    if (!scale_ || gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    if (const at::Tensor divisor = scale_->divisor(); divisor.defined()) {
      if (scale_->must_be_checked()) {
        divide_and_check(divisor);
      } else {
        at::_foreach_div_(gradients_, divisor);
      }
    }
    scale_->begin_anew();
    scale_->unscaled = true;
  }

 private:
  void divide_and_check(const at::Tensor& divisor) const {
    scale_->found_inf.zero_();
    // In double, as torch.amp.GradScaler does: the reciprocal of a scale near float32's largest value is a denormal.
    const at::Tensor factor = divisor.to(at::kDouble).reciprocal_().to(at::kFloat);
    // One call for gradients of one kind: the kernel takes no mixture.
    std::vector<at::Tensor> rest = gradients_, alike, others;
    while (!rest.empty()) {
      alike.clear();
      others.clear();
      for (const at::Tensor& gradient : rest) {
        const bool same = gradient.scalar_type() == rest.front().scalar_type() && gradient.device() == rest.front().device();
        (same ? alike : others).push_back(gradient);
      }
      at::_amp_foreach_non_finite_check_and_unscale_(alike, scale_->found_inf, factor);
      rest.swap(others);
    }
  }

  std::vector<at::Tensor> gradients_;
  detail::GradientScale* scale_;  // of the optimizer that they belong to; nullptr: it has none
};

}  // namespace fulgurite
