// SPDX-License-Identifier: MIT
// The step that hooks get: the toolbox of fg::Step, and what only an engine can do.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks/gradients.hpp>
#include <fulgurite/hooks/logging.hpp>
#include <fulgurite/logging/logger.hpp>
#include "handles.hpp"
#include "step.hpp"

namespace fulgurite::detail {

/// The step that `auto& step` binds to: `fg::Step<Model>` and what only the engine can do.
template <class Engine, class Model>
class EngineStep : public Step<Model> {
 public:
  using typename Step<Model>::Place;
  using Handle = OptimizerHandle<Engine, EngineStep>;

  FULGURITE_INLINE EngineStep(Engine& engine, Place place)
      : Step<Model>(engine.progress(), engine.stop_requested(), engine.metrics(), place),
        engine_(&engine),
        log_step_(engine.logged_steps()) {}

  /// The model's optimizer.
  FULGURITE_INLINE Handle optimizers() { return {*engine_, *this}; }
  /// The model's schedules: one handle if there is one, else a tuple of them.
  auto lr_schedulers() const { return engine_->scheduler_handles(); }

  /// Backward in full precision, with its hooks. Only a manual step has it.
  template <class Loss>
  void manual_backward(Loss&& loss)
    requires(Engine::manual)
  {
    engine_->backend().check_loss(loss);
    [[maybe_unused]] auto guard = engine_->backend().full_precision_guard();
    engine_->template notify<hooks::on_before_backward_hook>(std::as_const(loss), *this);
    engine_->backend().backward(loss, 1);
    engine_->template notify<hooks::on_after_backward_hook>(*this);
  }

  /// The model that is trained.
  Model& model() const { return engine_->model(); }
  /// From here on the model's schedules stand still: whoever calls this sets the learning rates. (In manual mode the
  /// model advances its schedules itself.)
  void suspend_schedules() const { engine_->suspend_schedules(); }

  /// The trainer has a logger.
  static constexpr bool has_logger = Engine::has_logger;
  /// Loggers get what this batch of training logs, if it steps the optimizers. The same in all of its hooks.
  bool logging_due() const {
    return has_logger && this->is_training() && engine_->logbook().due(log_step() + 1);
  }
  /// The x axis of loggers in the running batch: batches that have stepped the optimizers before.
  std::int64_t log_step() const { return log_step_; }
  /// Gives loggers a row of values at once, at `log_step()`; metrics are not touched.
  void write_row(std::span<const MetricValue> values) const {
    engine_->template tell_loggers<hooks::log_metrics_hook>(MetricsRow{log_step(), this->epoch(), values});
  }

  /// Number of batches in this epoch of training, if it is known.
  std::optional<std::int64_t> batch_count() const {
    return this->is_training() ? engine_->epoch_size() : std::nullopt;
  }

 private:
  Engine* engine_;
  std::int64_t log_step_;
};

}  // namespace fulgurite::detail
