// SPDX-License-Identifier: MIT
// The closure: what an optimizer runs to get gradients. Forward, then zero_grad if a window begins, then backward.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/hooks/batch.hpp>
#include <fulgurite/hooks/gradients.hpp>
#include "loss.hpp"
#include "optimizer_index.hpp"

namespace fulgurite::detail {

/// One batch's closure for one optimizer. An optimizer that re-evaluates (LBFGS) runs it several times.
template <class Engine, std::size_t Index, class Batch, class EngineStep, class Loss>
class Closure {
 public:
  /// `result`: where the loss is left.
  FULGURITE_INLINE Closure(Engine& engine, OptimizerIndex<Index>, const Batch& batch, EngineStep& step,
                           std::optional<Loss>& result)
      : engine_(&engine), batch_(&batch), step_(&step), result_(&result) {}

  Closure(const Closure&) = delete;
  Closure& operator=(const Closure&) = delete;

  /// Runs it. Returns the loss as the optimizer sees it; nothing if the batch was skipped.
  FULGURITE_INLINE const std::optional<Loss>& operator()() {
    const bool again = ran_;
    ran_ = true;
    result_->reset();
    auto returned = [&]() FULGURITE_INLINE {
      [[maybe_unused]] auto guard = engine_->backend().forward_guard();
      return engine_->training_step(index, *batch_, *step_);
    }();
    if (window().at_first_batch()) engine_->begin_window(index, *step_);
    if (!again) window().begin_batch();
    accept(std::move(returned), again);
    if (!again) window().add_batch();
    return *result_;
  }

  bool ran() const { return ran_; }

 private:
  static constexpr OptimizerIndex<Index> index{};

  FULGURITE_INLINE auto& window() { return engine_->window(index, *step_); }

  template <class Returned>
  FULGURITE_INLINE void accept(std::optional<Returned> returned, bool again) {
    if (returned) accept(std::move(*returned), again);  // a skipped batch counts in the mean, as in PyTorch Lightning
  }

  FULGURITE_INLINE void accept(WeightedLoss<Loss> returned, bool again) {
    require_weight(returned.weight);
    if (!usable(returned.sum, again)) return;
    differentiate(std::move(returned.sum), 1.0);
    if (!again) window().add_weight(returned.weight);  // now that its gradient is there
  }

  FULGURITE_INLINE void accept(Loss loss, bool again) {
    if (!usable(loss, again)) return;
    differentiate(std::move(loss), window().divisor());
  }

  FULGURITE_INLINE void differentiate(Loss loss, double divisor) {
    engine_->template notify<hooks::on_before_backward_hook>(std::as_const(loss), *step_);
    engine_->backend().backward(loss, divisor);
    engine_->template notify<hooks::on_after_backward_hook>(*step_);
    *result_ = std::move(loss);
  }

  static void require_weight(double weight) {
    if (weight > 0.0 && std::isfinite(weight)) return;
    throw std::invalid_argument("fulgurite: training_step returned a loss of weight " + text_of(weight) +
                                ": a weight is finite and above 0; return std::nullopt to leave a batch out");
  }

  /// False leaves the batch out.
  FULGURITE_INLINE bool usable(const Loss& loss, bool again) {
    if (engine_->usable(loss, again)) [[likely]] return true;
    if (!again) window().leave_out();
    return false;
  }

  Engine* engine_;
  const Batch* batch_;
  EngineStep* step_;
  std::optional<Loss>* result_;
  bool ran_ = false;
};

/// The closure of a window that an epoch's end closes: its gradients are there already.
struct NothingLeftToRun {
  constexpr void operator()() {}
  static constexpr bool ran() { return true; }
};

}  // namespace fulgurite::detail
