// SPDX-License-Identifier: MIT
// Our optimizers behind one type, chosen by the name that a trace gives, so that a trainer is compiled once for all.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/tensors/backend.hpp>
#include <fulgurite/tensors/gradients.hpp>

#include "json.hpp"

namespace parity {

namespace fg = fulgurite;

/// What schedules see of an optimizer.
struct Rates {
  virtual ~Rates() = default;
  virtual std::int64_t group_count() const = 0;
  virtual double lr(std::int64_t group) const = 0;
  virtual void set_lr(std::int64_t group, double lr) = 0;
  virtual double momentum(std::int64_t group) const = 0;  // 0 if it has none
  virtual void set_momentum(std::int64_t group, double momentum) = 0;
};

/// One of our optimizers.
struct ErasedOptimizer : Rates {
  using Closure = std::function<std::optional<at::Tensor>()>;
  virtual void step() = 0;
  virtual void step(const Closure& closure) = 0;
  virtual void zero_grad() = 0;
  virtual fg::Gradients gradients() = 0;
  virtual void set_loss_scale(const at::Tensor& scale, const at::Tensor& found_inf) = 0;
  virtual void for_each_parameter(const std::function<void(const at::Tensor&)>& f) const = 0;
  virtual c10::IValue state_dict() const = 0;
  virtual void load_state_dict(const c10::IValue& state) = 0;
};

/// A group as a trace describes it: parameters, and options by Python's names.
struct TraceGroup {
  std::vector<at::Tensor> parameters;
  Json options;
};

/// Makes an optimizer of torch.optim's name. (any_optimizer.cpp)
std::unique_ptr<ErasedOptimizer> make_optimizer(const std::string& name, std::vector<TraceGroup> groups, Json defaults);

/// Any of them as the engine wants it: two types, since one that re-evaluates its closure is another kind.
/// `before_step` and `after_step` are told of each step that is really made.
template <bool Reevaluates>
class AnyOptimizer {
 public:
  template <class Precision>
  using backend = fg::TensorBackend<Precision>;
  static constexpr bool needs_closure = Reevaluates;

  explicit AnyOptimizer(std::unique_ptr<ErasedOptimizer> optimizer, std::function<void()> before_step = {},
                        std::function<void()> after_step = {})
      : optimizer_(std::move(optimizer)), before_step_(std::move(before_step)), after_step_(std::move(after_step)) {}

  void step()
    requires(!Reevaluates)
  {
    if (falls_away()) return optimizer_->step();
    if (before_step_) before_step_();
    optimizer_->step();
    if (after_step_) after_step_();
  }
  template <class Closure>
  void step(Closure&& closure)
    requires Reevaluates
  {
    if (before_step_) before_step_();
    optimizer_->step([&]() -> std::optional<at::Tensor> { return closure(); });
    if (after_step_) after_step_();
  }
  void zero_grad() { optimizer_->zero_grad(); }
  fg::Gradients gradients() { return optimizer_->gradients(); }
  void set_loss_scale(const at::Tensor& scale, const at::Tensor& found_inf)
    requires(!Reevaluates)
  {
    found_inf_ = found_inf;
    optimizer_->set_loss_scale(scale, found_inf);
  }
  template <class F>
  void for_each_parameter(F&& f) const {
    optimizer_->for_each_parameter([&](const at::Tensor& parameter) { f(parameter); });
  }

  std::int64_t group_count() const { return optimizer_->group_count(); }
  double lr(std::int64_t group) const { return optimizer_->lr(group); }
  void set_lr(std::int64_t group, double lr) { optimizer_->set_lr(group, lr); }
  double momentum(std::int64_t group) const { return optimizer_->momentum(group); }
  void set_momentum(std::int64_t group, double momentum) { optimizer_->set_momentum(group, momentum); }

  Rates& rates() { return *optimizer_; }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive.state_dict("state_dict", *optimizer_);
  }

 private:
  // Under a loss scale a step is not made without gradients, or with one that is not finite.
  bool falls_away() {
    return found_inf_.defined() && (found_inf_.item<double>() != 0.0 || optimizer_->gradients().tensors().empty());
  }

  std::unique_ptr<ErasedOptimizer> optimizer_;
  at::Tensor found_inf_;
  std::function<void()> before_step_, after_step_;
};

}  // namespace parity
