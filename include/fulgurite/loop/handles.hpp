// SPDX-License-Identifier: MIT
// The wrapped optimizer and scheduler that hooks and `step.optimizers()` give: cheap values, valid during their batch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>

#include <fulgurite/concepts/optimizer.hpp>
#include <fulgurite/detail/inline.hpp>
#include <fulgurite/logging/metrics.hpp>
#include "optimizer_index.hpp"

namespace fulgurite {

/// An optimizer of the trainer: stepping through it includes precision, hooks, clipping and counting.
template <class Engine, class EngineStep, std::size_t Index = 0>
class OptimizerHandle {
  using Wrapped = typename Engine::template OptimizerAt<Index>;
  static constexpr OptimizerIndex<Index> which{};

 public:
  FULGURITE_INLINE OptimizerHandle(Engine& engine, EngineStep& step) : engine_(&engine), step_(&step) {}

  /// Which of the model's optimizers it is.
  static constexpr std::size_t index() { return Index; }

  /// Runs the closure, then on_before_optimizer_step and (automatic mode) clipping, then updates the parameters. An
  /// optimizer that re-evaluates (LBFGS) runs all of it several times; in manual mode its closure returns the loss.
  template <class Closure>
  FULGURITE_INLINE void step(Closure&& closure) const {
    static_assert(requires { closure(); },
                  "optimizer.step(closure) takes something callable without arguments. See docs/errors/closure.md");
    if constexpr (requires { closure(); }) {
      constexpr bool gives_loss = !NeedsClosure<Wrapped> || !std::is_void_v<decltype(closure())>;
      static_assert(gives_loss,
                    "this optimizer looks at the loss of every evaluation (LBFGS): the closure that it is given must return "
                    "it. See docs/errors/closure.md");
      if constexpr (gives_loss) engine_->update(which, *step_, closure);
    }
  }

  /// Updates on the gradients that are there.
  FULGURITE_INLINE void step() const {
    constexpr bool evaluates = NeedsClosure<Wrapped>;
    static_assert(!evaluates,
                  "this optimizer evaluates the loss several times a step (LBFGS): call optimizer.step(closure). "
                  "See docs/errors/closure.md");
    if constexpr (!evaluates) engine_->update(which, *step_, [] {});
  }

  void zero_grad() const {
    wrapped().zero_grad();
    if constexpr (Engine::manual) engine_->running(which).note_zero_grad();
  }
  auto gradients() const { return wrapped().gradients(); }

  /// Steps that this optimizer has made; `step.global_step()` counts those of all.
  std::int64_t step_count() const { return engine_->running(which).step_count(); }

  std::int64_t group_count() const { return wrapped().group_count(); }
  double lr(std::int64_t group = 0) const
    requires HasLearningRate<Wrapped>
  {
    return wrapped().lr(group);
  }
  /// Sets the learning rate of every group.
  void set_lr(double lr) const {
    for (std::int64_t group = 0; group < group_count(); ++group) set_lr(group, lr);
  }
  void set_lr(std::int64_t group, double lr) const { wrapped().set_lr(group, lr); }

  /// Momentum, or beta1 in the Adam family.
  double momentum(std::int64_t group = 0) const
    requires HasMomentum<Wrapped>
  {
    return wrapped().momentum(group);
  }
  /// Its name in logs: "SGD".
  std::string name() const { return optimizer_name(wrapped()); }

  /// The optimizer itself. A step made on it is not counted, not clipped and runs no hook.
  auto& unsafe_raw() const {
    static_assert(!Engine::scales_loss,
                  "the raw optimizer does not know that a loss scale (fg::Float16Mixed) multiplies its gradients: step "
                  "through the handle. See docs/errors/loss-scale.md");
    return wrapped();
  }

 private:
  auto& wrapped() const { return engine_->running(which).optimizer(); }

  Engine* engine_;
  EngineStep* step_;
};

/// A schedule of the trainer together with the optimizer that it drives.
template <class Schedule, class Optimizer, std::size_t Index = 0>
class SchedulerHandle {
 public:
  /// `metric`: what a schedule that follows one is to be fed with.
  SchedulerHandle(OptimizerIndex<Index>, Schedule& schedule, Optimizer& optimizer, const Metrics& metrics,
                  std::optional<double> metric = {})
      : schedule_(&schedule), optimizer_(&optimizer), metrics_(&metrics), metric_(metric) {}

  /// Which of the model's optimizers it drives.
  static constexpr std::size_t optimizer_index() { return Index; }

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

/// All schedules of a model with more than one: `auto [a, b] = step.lr_schedulers();`, or `.step()` for all of them.
template <class... Handle>
class SchedulerHandles : public std::tuple<Handle...> {
 public:
  explicit SchedulerHandles(Handle... handles) : std::tuple<Handle...>(handles...) {}

  /// Advances each by one step, in order.
  void step() const {
    std::apply([](const auto&... handle) { (handle.step(), ...); }, static_cast<const std::tuple<Handle...>&>(*this));
  }
};

}  // namespace fulgurite

template <class... Handle>
struct std::tuple_size<fulgurite::SchedulerHandles<Handle...>> : std::tuple_size<std::tuple<Handle...>> {};
template <std::size_t I, class... Handle>
struct std::tuple_element<I, fulgurite::SchedulerHandles<Handle...>> : std::tuple_element<I, std::tuple<Handle...>> {};
