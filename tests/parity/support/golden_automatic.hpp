// SPDX-License-Identifier: MIT
// The golden traces' model in automatic optimization, and the programs that override one of its hooks.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "golden_model.hpp"

namespace parity::golden {

/// What the programs of training_step do with a loss: nothing, leave it out, make it infinite.
template <class Net, Shape shape>
struct AutomaticModel : GoldenModel<Net, shape> {
  using Result = std::conditional_t<shape.skips, std::optional<torch::Tensor>, torch::Tensor>;

  using GoldenModel<Net, shape>::GoldenModel;

 protected:
  bool skipped(std::int64_t batch, std::size_t optimizer) const {
    if (this->program == "skip_none_opt1") return optimizer == 1 && batch % 3 == 1;
    return this->program == "skip_none" &&
           batch % this->config.at("skip").at(0).template get<std::int64_t>() ==
               this->config.at("skip").at(1);
  }
  torch::Tensor changed(torch::Tensor loss, std::int64_t batch) const {
    if (this->program != "scaler_inf") return loss;
    const Json& infinite = this->config.at("inf_batches");
    const bool is_infinite = std::find(infinite.begin(), infinite.end(), Json(batch)) != infinite.end();
    return is_infinite ? loss * std::numeric_limits<double>::infinity() : loss;
  }
};

/// With one optimizer.
template <class Net, Shape shape>
struct Single : AutomaticModel<Net, shape> {
  using Base = AutomaticModel<Net, shape>;
  using Base::Base;

  typename Base::Result training_step(const fg::Example& batch, auto& step) {
    this->note_training_step(step, 0, "training_step");
    if constexpr (shape.skips) {
      if (this->skipped(step.batch_index(), 0)) return std::nullopt;
    }
    auto value = this->changed(this->loss(batch), step.batch_index());
    this->note_loss(value);
    if (this->config.value("log", "") == "many") {
      step.log("a_step", value);
      step.log("b_both", value, fg::on_step | fg::on_epoch);
      step.log("c_epoch_sum", value, fg::epoch_sum);
      step.log("d_epoch_max", value, fg::epoch_max);
      step.log("e_epoch_min", value, fg::epoch_min);
      step.log("f_weighted", value, fg::on_epoch, fg::Weight{step.batch_index() + 1});
    } else {
      step.log("train_loss", value, fg::on_step | fg::on_epoch);
    }
    return value;
  }
};

/// With several.
template <class Net, Shape shape>
struct Several : AutomaticModel<Net, shape> {
  using Base = AutomaticModel<Net, shape>;
  using Base::Base;

  typename Base::Result training_step(const fg::Example& batch, auto& step, auto index) {
    const std::size_t optimizer = index;
    this->note_training_step(step, optimizer, "training_step[" + std::to_string(optimizer) + "]");
    if constexpr (shape.skips) {
      if (this->skipped(step.batch_index(), optimizer)) return std::nullopt;
    }
    auto value = this->loss_for(optimizer, batch);
    this->note_loss(value);
    step.log(Base::name_of_loss(optimizer), value, fg::on_step | fg::on_epoch);
    return value;
  }
};

// --- programs that override a hook; the trace says which ---------------------------------------------------

inline bool overrides_step(const std::string& program) {
  static const std::set<std::string> programs{"warmup", "every_n", "own_optimizer", "closure_first"};
  return programs.contains(program);
}

/// For those.
template <class Base>
struct OverridesStep : Base {
  using Base::Base;

  void optimizer_step(auto& optimizer, auto&& closure, auto& step) {
    const std::size_t index = optimizer.index();
    if (this->program == "warmup") {
      const auto warmup = this->config.at("warmup_steps").template get<std::int64_t>();
      if (step.global_step() < warmup) {
        const double lr = number(this->config.at("optimizers").at(index).at("lr"));
        optimizer.set_lr(
            std::min(1.0, static_cast<double>(step.global_step() + 1) / static_cast<double>(warmup)) * lr);
      }
      optimizer.step(closure);
    } else if (this->program == "every_n") {
      const auto n = this->config.at("every_n").at(index).template get<std::int64_t>();
      if ((step.batch_index() + 1) % n == 0) {
        optimizer.step(closure);
      } else {
        closure();
      }
    } else if (this->program == "closure_first") {
      closure();
      step_after_closure(optimizer);
    } else if (this->program == "own_optimizer") {
      closure();
      step_on_raw(optimizer);
    } else {
      throw std::runtime_error("no optimizer_step is known as " + this->program);
    }
  }

 private:
  void step_after_closure(auto& optimizer) {
    if constexpr (!Base::shape_of.reevaluates) {
      optimizer.step();
    } else {
      throw std::runtime_error("LBFGS steps with a closure");
    }
  }
  void step_on_raw(auto& optimizer) {
    if constexpr (!Base::shape_of.reevaluates && !Base::shape_of.scaled) {
      optimizer.unsafe_raw().step();
    } else {
      throw std::runtime_error("the raw optimizer is refused");
    }
  }
};

/// zero_even, zero_keep.
template <class Base>
struct OverridesZeroGrad : Base {
  using Base::Base;

  void optimizer_zero_grad(auto& optimizer, auto& step) {
    if (this->program == "zero_even") {
      if (step.batch_index() % 2 == 0) optimizer.zero_grad();
    } else if (this->program == "zero_keep") {
      const auto gradients = optimizer.gradients();
      for (at::Tensor gradient : gradients.tensors()) gradient.zero_();
    } else {
      throw std::runtime_error("no optimizer_zero_grad is known as " + this->program);
    }
  }
};

/// clip_own, clip_only_opt0, clip_per_opt.
template <class Base>
struct OverridesClipping : Base {
  using Base::Base;

  void configure_gradient_clipping(auto& optimizer, auto& step) {
    if (this->program == "clip_only_opt0") {
      if (optimizer.index() == 0) step.clip_gradients(optimizer, clipping_of(this->config));
    } else if (this->program == "clip_per_opt") {
      if (optimizer.index() > 1) throw std::runtime_error("clip_per_opt knows two optimizers");
      step.clip_gradients(optimizer, fg::ClipNorm{.max = optimizer.index() == 0 ? 0.5 : 1.0});
    } else if (this->program == "clip_own") {
      for (auto& parameter : this->parameters_of("l1")) {
        if (parameter.grad().defined()) parameter.mutable_grad().clamp_(-0.05, 0.05);
      }
    } else {
      throw std::runtime_error("no configure_gradient_clipping is known as " + this->program);
    }
  }
};

}  // namespace parity::golden
