// SPDX-License-Identifier: MIT
// The wrapped optimizer and scheduler that hooks and `step.optimizers()` give: cheap values, valid during their batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/optim/optimizer.hpp>
#include <fulgurite/logging/metrics.hpp>

namespace fulgurite {

/// An optimizer of the trainer: stepping through it includes precision, hooks, clipping and counting.
template <class Engine, class EngineStep, std::size_t Index = 0>
class OptimizerHandle {
 public:
  FULGURITE_INLINE OptimizerHandle(Engine& engine, EngineStep& step) : engine_(&engine), step_(&step) {}

  static constexpr std::size_t index() { return Index; }

  /// Runs the closure, then on_before_optimizer_step and (automatic mode) clipping, then updates the parameters.
  template <class Closure>
  FULGURITE_INLINE void step(Closure&& closure) const {
    static_assert(requires { closure(); },
                  "optimizer.step(closure) takes something callable without arguments. See docs/errors/closure.md");
    if constexpr (requires { closure(); }) engine_->update(*step_, closure);
  }

  /// Updates on the gradients that are there.
  FULGURITE_INLINE void step() const {
    constexpr bool evaluates = NeedsClosure<typename Engine::OptimizerType>;
    static_assert(!evaluates,
                  "this optimizer evaluates the loss several times a step (LBFGS): call optimizer.step(closure). "
                  "See docs/errors/closure.md");
    if constexpr (!evaluates) engine_->update(*step_, [] {});
  }

  void zero_grad() const { engine_->optimizer().zero_grad(); }
  auto gradients() const { return engine_->optimizer().gradients(); }

  std::int64_t group_count() const { return engine_->optimizer().group_count(); }
  double lr(std::int64_t group = 0) const
    requires HasLearningRate<typename Engine::OptimizerType>
  {
    return engine_->optimizer().lr(group);
  }
  /// Sets the learning rate of every group.
  void set_lr(double lr) const {
    for (std::int64_t group = 0; group < group_count(); ++group) set_lr(group, lr);
  }
  void set_lr(std::int64_t group, double lr) const { engine_->optimizer().set_lr(group, lr); }

  /// Momentum, or beta1 in the Adam family.
  double momentum(std::int64_t group = 0) const
    requires HasMomentum<typename Engine::OptimizerType>
  {
    return engine_->optimizer().momentum(group);
  }
  /// Its name in logs: "SGD".
  std::string name() const { return optimizer_name(engine_->optimizer()); }

  /// The optimizer itself. A step made on it is not counted, not clipped and runs no hook.
  auto& unsafe_raw() const {
    static_assert(!Engine::scales_loss,
                  "the raw optimizer does not know that a loss scale (fg::Float16Mixed) multiplies its gradients: step "
                  "through the handle. See docs/errors/loss-scale.md");
    return engine_->optimizer();
  }

 private:
  Engine* engine_;
  EngineStep* step_;
};

/// A schedule of the trainer together with the optimizer that it drives.
template <class Schedule, class Optimizer>
class SchedulerHandle {
 public:
  /// `metric`: what a schedule that follows one is to be fed with.
  SchedulerHandle(Schedule& schedule, Optimizer& optimizer, const Metrics& metrics, std::optional<double> metric = {})
      : schedule_(&schedule), optimizer_(&optimizer), metrics_(&metrics), metric_(metric) {}

  /// Advances the schedule by one step. One that follows a metric takes the value that was logged last (the epoch's mean
  /// if it is logged on_epoch); without one it stays where it is, or throws std::invalid_argument if it is strict.
  void step() const {
    if constexpr (Schedule::follows_metric) {
      const auto value = metric_ ? metric_ : schedule_->metric(*metrics_, false);
      if (value) schedule_->advance(*optimizer_, *value);
    } else {
      schedule_->advance(*optimizer_);
    }
  }
  /// The same with a value of the caller's.
  void step(double metric) const
    requires Schedule::follows_metric
  {
    schedule_->advance(*optimizer_, metric);
  }

  std::int64_t steps() const { return schedule_->steps(); }  ///< how often it has advanced
  double last_lr(std::int64_t group = 0) const { return optimizer_->lr(group); }

 private:
  Schedule* schedule_;
  Optimizer* optimizer_;
  const Metrics* metrics_;
  std::optional<double> metric_;
};

}  // namespace fulgurite
