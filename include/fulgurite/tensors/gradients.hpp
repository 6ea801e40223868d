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
#include <ATen/ops/ones_like.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>
#include <c10/util/StringUtil.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fulgurite {

namespace detail {

/// What has become of an optimizer's gradients under a loss scale. Shared with the `LossScale`, whose update() resets it.
struct GradientStage {
  bool divided = false;     // by the loss scale
  bool unscaled = false;    // by a call of unscale()
  bool stepped = false;     // the optimizer has stepped on them
  bool checked = false;     // found_inf was written since the last update()
  at::Tensor found_before;  // largest found_inf that was overwritten since the last update(); undefined: 0

  void begin_anew() { divided = unscaled = stepped = false; }
  bool found_earlier() const { return found_before.defined() && found_before.item<double>() != 0.0; }
};

/// What the next update divides gradients by, and whether it happens.
struct GradientScale {
  at::Tensor loss_scale;  // the loss was multiplied by it: float32, of no dimension; undefined: 1
  at::Tensor found_inf;   // 1: some gradient is not finite, and the update does nothing; undefined: 0
  std::shared_ptr<GradientStage> stage = std::make_shared<GradientStage>();
  bool in_turn = false;   // a LossScale updates the scale after each step: one step and one unscale() in between

  /// `shared`: of the LossScale that owns the tensors; nullptr if the program owns them.
  void set(const at::Tensor& scale, const at::Tensor& found, std::shared_ptr<GradientStage> shared) {
    const auto number = [](const at::Tensor& tensor) { return tensor.defined() ? tensor.view(at::IntArrayRef{}) : tensor; };
    loss_scale = number(scale);  // views, since the operators want no dimension
    found_inf = number(found);
    in_turn = shared != nullptr;
    stage = shared ? std::move(shared) : std::make_shared<GradientStage>();
  }

  bool scaled() const { return loss_scale.defined() && !stage->divided; }

  /// The update may have to be skipped, and nothing has looked at the gradients yet.
  bool must_be_checked() const { return scaled() && found_inf.defined(); }

  /// The update has to be skipped. On a GPU this waits for the gradients.
  bool skips() const { return found_inf.defined() && found_inf.item<double>() != 0.0; }

  /// Undefined: 1.
  at::Tensor divisor() const { return scaled() ? loss_scale : at::Tensor(); }

  /// Throws std::logic_error for a second step on the same gradients.
  void begin_step(const char* optimizer) const {
    if (!stage->stepped) return;
    throw std::logic_error(
        "fulgurite: " + std::string(optimizer) +
        " has stepped on these gradients already, and a second step "
        "would divide them by the loss scale once more: call update() of the fg::LossScale after each step, "
        "or zero_grad() and backward before the next one");
  }
  /// The update was made or skipped.
  void end_step() {
    const bool divided = stage->divided;  // else there were no gradients
    stage->begin_anew();
    stage->stepped = in_turn && divided;
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    if constexpr (Archive::loads) {
      if (archive.has("clipping") && !archive.empty("clipping")) {
        archive.refuse("gradients",
                       "were to be clipped by the next update, which this version of the library does at once: save "
                       "the training after a step, or go on with the version that saved it");
      }
      *stage = {};
    }
    archive("unscaled", stage->divided);
    bool overflows = stage->divided && skips();
    bool overflowed_before = in_turn && ((stage->checked && !stage->divided && skips()) || stage->found_earlier());
    const auto flag = [&](const char* name, bool& value) {
      if constexpr (Archive::loads) {
        value = false;
        if (!archive.has(name)) return;  // older files
      }
      archive(name, value);
    };
    flag("overflows", overflows);
    flag("overflowed_before", overflowed_before);
    if constexpr (Archive::loads) {
      stage->checked = stage->divided || overflowed_before;  // what divided them has checked them
      if (!found_inf.defined()) return;
      found_inf.fill_(overflows ? 1.0 : 0.0);
      if (overflowed_before) stage->found_before = at::ones_like(found_inf);
    }
  }
};

/// The tensor that holds the numbers of a parameter's gradient: itself, or the values of a sparse one, in which entries of
/// the same place have been added up. Undefined if there is no gradient.
inline at::Tensor gradient_values(const at::Tensor& parameter) {
  at::Tensor& gradient = parameter.unsafeGetTensorImpl()->mutable_grad();
  if (!gradient.defined() || gradient.layout() == at::kStrided) return gradient;
  if (gradient.layout() != at::kSparse) {
    throw std::invalid_argument("fulgurite: a gradient of layout " + c10::str(gradient.layout()) +
                                " can be neither measured nor "
                                "clipped: make it dense, or sparse by coordinates (to_sparse())");
  }
  const c10::NoGradGuard no_grad;
  if (!gradient.is_coalesced()) gradient = gradient.coalesce();
  return gradient._values();
}

/// The p-norm of each tensor. That of no elements is 0, the largest absolute value too.
inline std::vector<at::Tensor> norms_of(const std::vector<at::Tensor>& tensors, double p) {
  if (tensors.empty()) return {};
  const auto is_empty = [](const at::Tensor& tensor) { return tensor.numel() == 0; };
  if (!std::isinf(p) || std::none_of(tensors.begin(), tensors.end(), is_empty)) return at::_foreach_norm(tensors, p);
  std::vector<at::Tensor> norms;
  for (const at::Tensor& tensor : tensors) {
    norms.push_back(is_empty(tensor) ? at::zeros({}, tensor.options().requires_grad(false))
                                     : at::linalg_vector_norm(tensor, p));
  }
  return norms;
}

/// The p-norm of all numbers behind these norms, in the order of torch::nn::utils::clip_grad_norm_.
inline at::Tensor norm_of_norms(std::vector<at::Tensor> norms, double p) {
  if (norms.empty()) return at::zeros({});
  for (at::Tensor& norm : norms) {
    if (norm.device() != norms.front().device()) norm = norm.to(norms.front().device());
  }
  return at::linalg_vector_norm(at::stack(norms), p);
}

}  // namespace detail

/// The gradients that exist, by reference: what is done here is done at once, to the parameters' own. Of a sparse gradient
/// its values are meant. Under a loss scale, norms and limits are those of the gradients without it.
class Gradients {
 public:
  explicit Gradients(std::vector<at::Tensor> gradients, detail::GradientScale* scale = nullptr)
      : gradients_(std::move(gradients)), scale_(scale) {}
  /// `gradients` in memory that holds several of them each, which is changed in their stead.
  Gradients(std::vector<at::Tensor> memory, std::vector<at::Tensor> gradients, detail::GradientScale* scale)
      : gradients_(std::move(memory)), parts_(std::move(gradients)), scale_(scale) {}

  const std::vector<at::Tensor>& tensors() const { return gradients_; }

  /// The p-norm of all gradients together: a tensor of no dimension, not read back. 0 if there are none.
  at::Tensor norm(double norm_type = 2.0) const {
    const c10::NoGradGuard no_grad;
    at::Tensor total = detail::norm_of_norms(detail::norms_of(parts_.empty() ? gradients_ : parts_, norm_type), norm_type);
    const at::Tensor divisor = scale_ ? scale_->divisor() : at::Tensor();
    return divisor.defined() ? total.div_(divisor) : total;
  }

  /// Whether `norm` is finite, for which the host waits. Under a loss scale it need not be: a step on such gradients is
  /// skipped.
  bool is_finite(double norm_type = 2.0) const {
    if (gradients_.empty() || (scale_ && scale_->found_inf.defined())) return true;
    return std::isfinite(norm(norm_type).item<double>());
  }

  /// g /= max(1, (norm + 1e-6) / max), the formula of torch.nn.utils.clip_grad_norm_ as a division, so that the
  /// last bit may differ from its product. Returns the norm before, as `norm` does.
  at::Tensor clip_norm(double max, double norm_type = 2.0) const {
    if (gradients_.empty()) return at::zeros({});
    const c10::NoGradGuard no_grad;
    divide_by_scale();
    at::Tensor total = norm(norm_type);
    divide(total.add(1e-6).div_(max).clamp_min_(1.0));
    return total;
  }

  /// Clamps each element into [-max, max], as torch::nn::utils::clip_grad_value_.
  void clip_value(double max) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    divide_by_scale();
    at::_foreach_clamp_min_(gradients_, -max);
    at::_foreach_clamp_max_(gradients_, max);
  }

  /// Multiplies every gradient.
  void scale(double factor) const {
    if (gradients_.empty()) return;
    const c10::NoGradGuard no_grad;
    at::_foreach_mul_(gradients_, factor);
  }

  /// Divides every gradient by the loss scale, now instead of in the update, and finds out, without reading it, whether one
  /// of them is not finite. Throws std::logic_error if an fg::LossScale drives the scale and it has been called since the
  /// last update(), or the optimizer has stepped since.
  void unscale() const {
    if (!scale_) return;
    if (scale_->in_turn && (scale_->stage->unscaled || scale_->stage->stepped)) {
      throw std::logic_error(
          std::string("fulgurite: unscale() of gradients that ") +
          (scale_->stage->stepped ? "their optimizer has stepped on" : "have been unscaled") +
          " already: it is called once, between backward and the step; update() of the fg::LossScale begins "
          "anew");
    }
    divide_by_scale();
    scale_->stage->unscaled = true;
  }

  /// What unscale() does, if it has not been done.
  void divide_by_scale() const {
    if (!scale_ || gradients_.empty() || scale_->stage->divided) return;
    const c10::NoGradGuard no_grad;
    if (scale_->must_be_checked()) {
      divide_and_check();
    } else if (scale_->scaled()) {
      at::_foreach_div_(gradients_, scale_->loss_scale);
    }
    scale_->stage->divided = true;
  }

 private:
  void divide(const at::Tensor& divisor) const {
    const auto is_there = [&](const at::Tensor& gradient) { return gradient.device() == divisor.device(); };
    if (std::all_of(gradients_.begin(), gradients_.end(), is_there)) return at::_foreach_div_(gradients_, divisor);
    for (at::Tensor gradient : gradients_) gradient.div_(divisor.to(gradient.device()));
  }

  void divide_and_check() const {
    detail::GradientStage& stage = *scale_->stage;
    if (scale_->in_turn && stage.checked) {  // an overflow of an earlier step counts in the next update() too
      const at::Tensor& found = scale_->found_inf;
      stage.found_before = stage.found_before.defined() ? stage.found_before.maximum(found) : found.clone();
    }
    scale_->found_inf.zero_();
    stage.checked = true;
    // In double, as torch.amp.GradScaler does: the reciprocal of a scale near float32's largest value is a denormal.
    const at::Tensor factor = scale_->loss_scale.to(at::kDouble).reciprocal_().to(at::kFloat);
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
  std::vector<at::Tensor> parts_;  // empty: gradients_
  detail::GradientScale* scale_;   // of the optimizer that they belong to; nullptr: it has none
};

}  // namespace fulgurite
