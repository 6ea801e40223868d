// SPDX-License-Identifier: MIT
// The step that hooks get: the toolbox of fg::Step, and what only an engine can do.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <fulgurite/detail/engine_access.hpp>
#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks/gradients.hpp>
#include <fulgurite/hooks/logging.hpp>
#include <fulgurite/logging/logger.hpp>
#include "handles.hpp"
#include "optimizer_index.hpp"
#include "schedule_steps.hpp"
#include "step.hpp"
#include "window.hpp"

namespace fulgurite::detail {

/// The step that `auto& step` binds to: `fg::Step<Model>` and what only the engine can do.
template <class Engine, class Model>
class EngineStep : public Step<Model> {
 public:
  using typename Step<Model>::Place;
  template <std::size_t I>
  using Handle = OptimizerHandle<Engine, EngineStep, I>;

  FULGURITE_INLINE EngineStep(Engine& engine, Place place)
      : Step<Model>(engine.progress(), engine.stop_requested(), engine.metrics(), place),
        engine_(&engine),
        log_step_(engine.logged_steps()) {}

  /// The model's optimizer; of several a tuple: `auto [generator, discriminator] = step.optimizers();`.
  FULGURITE_INLINE auto optimizers() {
    watch("step.optimizers()");
    if constexpr (Engine::optimizer_count == 1) {
      return handle(optimizer_index<0>);
    } else {
      return [this]<std::size_t... I>(std::index_sequence<I...>) {
        return std::tuple<Handle<I>...>(this->handle(optimizer_index<I>)...);
      }(std::make_index_sequence<Engine::optimizer_count>{});
    }
  }
  /// One of them: `step.optimizer(fg::optimizer_index<1>)`.
  template <std::size_t I>
  FULGURITE_INLINE Handle<I> optimizer(OptimizerIndex<I> index) {
    watch("step.optimizer()");
    return handle(index);
  }

  /// The model's schedules: one handle if there is one, else `fg::SchedulerHandles` of all, optimizer by optimizer.
  auto lr_schedulers() const {
    watch("step.lr_schedulers()");
    return scheduler_handles(*engine_);
  }

  /// While what it returns lives, of all parameters of the model's optimizers only those of this one require gradients
  /// (if they did before). Toggles may be nested: the innermost counts.
  template <std::size_t I>
  [[nodiscard]] auto toggle(const Handle<I>&) const {
    return engine_->toggle(optimizer_index<I>);
  }

  /// Backward in full precision, with its hooks; multiplied by the loss scale, if there is one. False if the policy for
  /// non-finite losses left this one out: no gradient was added then.
  template <class Loss>
  bool manual_backward(Loss&& loss) {
    static_assert(Engine::manual,
                  "step.manual_backward is for manual optimization; here the loss that training_step returns is "
                  "differentiated: return it, or add fg::ManualOptimization to the trainer's policies. "
                  "See docs/errors/manual-backward.md");
    if constexpr (Engine::manual) {
      [[maybe_unused]] auto guard = engine_->backend().full_precision_guard();
      if (!engine_->usable(std::as_const(loss))) return false;
      engine_->template notify<hooks::on_before_backward_hook>(std::as_const(loss), *this);
      engine_->note_backward();
      engine_->backend().backward(loss, 1);
      engine_->template notify<hooks::on_after_backward_hook>(*this);
    }
    return true;
  }

  /// Has `act(engine)` called as soon as the training rests. For fg::save_checkpoint.
  FULGURITE_INLINE void when_at_rest(std::function<void(Engine&)> act) {
    watch("fg::save_checkpoint");
    asked_ = true;
    engine_->when_at_rest(std::move(act));
  }

  /// The model that is trained.
  Model& model() const { return engine_->model(); }
  /// From here on the model's schedules stand still: whoever calls this sets the learning rates. (In manual mode the
  /// model advances its schedules itself.)
  void suspend_schedules() const { engine_->suspend_schedules(); }

  /// A fit calls this hook; else a loop of the program's own does, or a validation outside of both.
  bool in_fit() const {
    watch("step.in_fit()");
    return engine_->fits();
  }

  /// The trainer has a logger.
  static constexpr bool has_logger = Engine::has_logger;
  /// Loggers get what this batch of training logs, if it steps the optimizers. The same in all of its hooks.
  bool logging_due() const {
    watch("step.logging_due()");
    return has_logger && this->is_training() && engine_->logbook().due(log_step_ + 1);
  }
  /// The x axis of loggers in the running batch: batches that have stepped the optimizers before.
  std::int64_t log_step() const {
    watch("step.log_step()");
    return log_step_;
  }
  /// Gives loggers a row of values at once, at `log_step()`. Everyone else finds them among the metrics, as values of
  /// the batch. Throws std::invalid_argument, before the row is written, for a name that is taken.
  void write_row(std::span<const MetricValue> values) const {
    watch("step.write_row()");
    const std::string prefix(this->metrics().prefix());
    std::vector<std::string> names;
    for (const auto& [name, value] : values) {
      names.push_back(prefix + std::string(name));
      if (std::find(names.begin(), names.end(), names.back()) != names.end() - 1) {
        throw std::invalid_argument("fulgurite: a row for the loggers has two values called " + names.back() +
                                    ": give one of them another name");
      }
      this->log_in_own_row(name, value);
    }
    std::vector<MetricValue> row;
    for (std::size_t i = 0; i < values.size(); ++i) row.push_back({names[i], values[i].value});
    engine_->template tell_loggers<hooks::log_metrics_hook>(MetricsRow{log_step(), this->epoch(), row});
  }

  /// Number of batches in this epoch of training, if it is known.
  std::optional<std::int64_t> batch_count() const {
    const std::optional<std::int64_t> count = this->is_training() ? engine_->epoch_size() : std::nullopt;
    watch(StepNumber::batch_count, count.value_or(-1));
    return count;
  }

 private:
  friend Engine;
  friend EngineAccess;

  template <std::size_t I>
  FULGURITE_INLINE Handle<I> handle(OptimizerIndex<I>) {
    return {*engine_, *this};
  }

  Engine* engine_;
  std::int64_t log_step_;
  // What the engine keeps of a batch, and of no other.
  StepsTaken<Engine::optimizer_count> taken_{};
  bool asked_ = false;  // for something between two batches
  std::array<BatchWindow, Engine::optimizer_count> windows_;
};

}  // namespace fulgurite::detail
