// SPDX-License-Identifier: MIT
// The engine: everything that a training holds, and how one batch flows through it. trainer.hpp drives it; it is keyed
// on the policies in slot order, so equal trainers share one instantiation.
#pragma once

#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <concepts>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/accumulation.hpp>
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/non_finite.hpp>
#include "backend.hpp"
#include "closure.hpp"
#include "configured_optimizer.hpp"
#include "engine_step.hpp"
#include "errors.hpp"
#include "handles.hpp"
#include "logbook.hpp"
#include "loss.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "window.hpp"

namespace fulgurite::detail {

template <class Model, class Policies, class... Callbacks>
class Engine {
 public:
  using Configured = decltype(configured(std::declval<Model&>().configure_optimizers()));
  using OptimizerType = typename Configured::optimizer_type;
  using Precision = std::remove_cvref_t<decltype(std::declval<const Policies&>().precision())>;
  using Backend = typename backend_of<OptimizerType, Precision>::type;
  using Step = EngineStep<Engine, Model>;

  static constexpr bool manual = Policies::manual;
  static constexpr bool accumulates =
      !std::same_as<std::remove_cvref_t<decltype(std::declval<const Policies&>().accumulation())>, NoAccumulation>;
  static constexpr bool follows_metrics = !manual && Configured::follows_metrics;
  static constexpr bool scales_loss = ScalesLoss<Precision>;
  static constexpr bool checks_finite =
      std::remove_cvref_t<decltype(std::declval<const Policies&>().non_finite())>::checks;

  static constexpr bool has_logger = (hooks::present<hooks::log_metrics_hook, Callbacks> || ...);

  template <class Batch>
  using TakenBatch = std::remove_cvref_t<decltype(std::declval<Backend&>().take(std::declval<const Batch&>()))>;
  template <class Batch>
  using Returned = decltype(std::declval<Model&>().training_step(std::declval<const TakenBatch<Batch>&>(),
                                                                  std::declval<Step&>()));
  template <class Batch>
  using LossFor = typename std::conditional_t<std::is_void_v<Returned<Batch>>, std::type_identity<NoLoss>,
                                              loss_of<std::remove_cvref_t<Returned<Batch>>>>::type;

  Engine(Model& model, Policies policies, boost::hana::tuple<Callbacks...> callbacks)
      : model_(&model),
        policies_(std::move(policies)),
        callbacks_(std::move(callbacks)),
        backend_(policies_.device().place(), policies_.precision()),
        configured_(prepare_and_configure()) {
    if constexpr (scales_loss) backend_.loss_scale().attach(optimizer());
    configured_.attach_schedules();
  }

  Engine(Engine&&) = default;

  // --- one batch -----------------------------------------------------------------------------------------------------

  /// One batch through the whole compiled path. `last`: it ends its epoch.
  template <class Batch>
  FULGURITE_INLINE StepResult<LossFor<Batch>> train_batch(const Batch& given, bool last) {
    begin_epoch();
    decltype(auto) batch = backend_.take(given);
    Step step(*this, {Stage::training, progress_.batch, last, backend_.batch_size(batch)});
    StepResult<LossFor<Batch>> result{.loss = {}, .epoch = progress_.epoch, .batch = progress_.batch};

    if (wants_to_end_epoch(batch, step)) {
      window_.close();  // what it had gathered is dropped, as in PyTorch Lightning
      result.ends_epoch = true;
      result.global_step = progress_.global_step;
      return result;
    }
    if constexpr (manual) {
      train_manually(batch, step, result);
    } else {
      train_automatically(batch, step, result, last);
    }
    ++progress_.batches;
    result.global_step = progress_.global_step;
    notify<hooks::on_train_batch_end_hook>(std::as_const(result), batch, step);
    if constexpr (has_logger) logbook_.after_batch(*this, step);
    ++progress_.batch;
    if constexpr (follows_metrics) {
      metric_schedules_due_ |= result.stepped;
      if (!last) advance_metric_schedules_after_step();  // those of the last batch see the epoch's validation first
    }
    return result;
  }

  /// The update behind `optimizer.step(closure)`: run the closure, correct the window's mean, clip, step.
  template <class Closure>
  FULGURITE_INLINE void update(Step& step, Closure&& closure) {
    const auto evaluate = [&]() FULGURITE_INLINE -> decltype(auto) {
      if constexpr (manual) {
        [[maybe_unused]] auto guard = backend_.full_precision_guard();
        unscale_gradients();
        notify<hooks::on_before_optimizer_step_hook>(step.optimizers(), step);
      } else {
        if (window_.nothing_to_step_on()) return;
        unscale_gradients();
        correct_mean();
        notify<hooks::on_before_optimizer_step_hook>(step.optimizers(), step);
        clip(step);
      }
    };
    if constexpr (NeedsClosure<OptimizerType>) {
      optimizer().step([&] {
        auto loss = closure();
        evaluate();
        return loss;
      });
    } else {
      closure();
      evaluate();
      if constexpr (!manual) {
        if (window_.nothing_to_step_on()) return;
      }
      [[maybe_unused]] auto guard = backend_.full_precision_guard();
      optimizer().step();
    }
    if constexpr (manual) {
      if (overflowed()) {
        ++progress_.skipped_steps;
      } else {
        count_step();
      }
    }
  }

  FULGURITE_INLINE void zero_grad(Step& step) {
    auto handle = step.optimizers();
    notify<hooks::on_before_zero_grad_hook>(handle, step);
    if constexpr (hooks::present<hooks::optimizer_zero_grad_hook, Model>) {
      hooks::call<hooks::optimizer_zero_grad_hook>(*model_, handle, step);
    } else {
      optimizer().zero_grad();
    }
  }

  /// Applies the non-finite policy; true goes on as if nothing had happened. Throws before a parameter is changed.
  template <class Loss>
  bool on_non_finite(Loss& loss, double value) {
    switch (policies_.non_finite().on_non_finite({progress_.epoch, progress_.batch, value})) {
      case NonFiniteAction::ignore: return true;
      case NonFiniteAction::skip: return false;
      case NonFiniteAction::stop: break;
    }
    backend_.backward(loss, 1);  // only to find out where it comes from
    const std::string gradient = backend_.first_non_finite_gradient(*model_);
    optimizer().zero_grad();
    window_.close();
    throw NonFiniteLoss(progress_.epoch, progress_.batch, value, gradient);
  }

  // --- the edges of an epoch -----------------------------------------------------------------------------------------

  /// Does nothing in an epoch that has begun.
  FULGURITE_INLINE void begin_epoch() {
    if (epoch_open_) return;
    epoch_open_ = true;
    epoch_schedules_done_ = false;
    metrics_.begin_epoch(Stage::training);
    notify<hooks::on_train_epoch_start_hook>(edge(Stage::training));
  }

  /// After the last batch: steps on a window that is still open, then advances epoch schedules.
  void close_epoch() {
    if constexpr (!manual) {
      if constexpr (accumulates) {
        if (window_.is_open()) close_open_window();
      }
      advance_epoch_schedules(progress_.batch);
    }
  }

  /// Ends the running epoch; does nothing if no batch has come since the last end. An epoch that a limit cut short
  /// (`completed` false) steps no epoch schedules and drops an open window.
  void end_epoch(bool completed) {
    if (!epoch_open_) return;
    if (completed) close_epoch();
    window_.close();
    advance_metric_schedules_after_step();
    notify<hooks::on_train_epoch_end_hook>(edge(Stage::training));
    if constexpr (has_logger) logbook_.after_epoch(*this, Stage::training);
    if (completed) advance_metric_schedules_after_epoch();
    ++progress_.epoch;
    progress_.batch = progress_.steps_in_epoch = 0;
    epoch_open_ = false;
  }

  /// Forgets a running epoch that an exception ended: it may begin anew. An open window and its gradients are dropped.
  void abandon_epoch() {
    window_.close();
    progress_.batch = progress_.steps_in_epoch = 0;
    epoch_size_ = std::nullopt;
    epoch_open_ = metric_schedules_due_ = false;
  }

  bool epoch_open() const { return epoch_open_; }

  /// Epoch schedules advance once an epoch: with its last batch, or when the epoch is ended without one.
  /// `batches`: of this epoch so far, the running one included.
  void advance_epoch_schedules(std::int64_t batches) {
    if (std::exchange(epoch_schedules_done_, true)) return;
    const SchedulePoint point{progress_.epoch, batches, progress_.steps_in_epoch};
    for_each_schedule([&](auto& schedule) {
      if (schedule.due_after_epoch(policies_.scheduler_interval(), point)) advance(schedule);
    });
  }

  // Schedules that follow a metric come after the validation and on_train_epoch_end that may log it. In manual mode
  // the model advances them itself.

  void advance_metric_schedules_after_step() {
    if (!std::exchange(metric_schedules_due_, false)) return;
    const SchedulePoint point{progress_.epoch, progress_.batch, progress_.steps_in_epoch};
    for_each_metric_schedule([&](auto& schedule) {
      if (schedule.due_after_step(policies_.scheduler_interval(), point)) advance_on_metric(schedule, true);
    });
  }

  void advance_metric_schedules_after_epoch() {
    const SchedulePoint point{progress_.epoch, progress_.batch, progress_.steps_in_epoch};
    for_each_metric_schedule([&](auto& schedule) {
      if (schedule.due_after_epoch(policies_.scheduler_interval(), point)) advance_on_metric(schedule, false);
    });
  }

  // --- hooks and parts -----------------------------------------------------------------------------------------------

  /// Calls a hook of every callback that has it, in order, then the model's.
  template <class Hook, class... Arguments>
  FULGURITE_INLINE void notify(Arguments&&... arguments) {
    boost::hana::for_each(callbacks_, [&](auto& callback) FULGURITE_INLINE { hooks::call<Hook>(callback, arguments...); });
    hooks::call<Hook>(*model_, arguments...);
  }

  Step edge(Stage stage) { return Step(*this, {stage, progress_.batch, false, 1.0, true}); }

  /// Batches in which the optimizers have been stepped: the x axis of logs.
  FULGURITE_INLINE std::int64_t logged_steps() const { return manual ? progress_.batches : progress_.windows; }
  Logbook& logbook() { return logbook_; }

  /// Calls a hook of loggers, which a model does not have.
  template <class Hook, class Argument>
  void tell_loggers(const Argument& argument) {
    boost::hana::for_each(callbacks_, [&](auto& callback) { hooks::call<Hook>(callback, argument); });
  }

  /// Handles of the schedules: one alone, or a tuple.
  auto scheduler_handles() {
    return boost::hana::unpack(configured_.schedules(), [&](auto&... schedule) {
      static_assert(sizeof...(schedule) > 0,
                    "step.lr_schedulers() needs a schedule: give it to the optimizer by fg::optimizer(...).with(schedule). "
                    "See docs/errors/no-schedule.md");
      if constexpr (sizeof...(schedule) == 1) {
        return (SchedulerHandle(schedule, optimizer(), std::as_const(metrics_)), ...);
      } else {
        return std::make_tuple(SchedulerHandle(schedule, optimizer(), std::as_const(metrics_))...);
      }
    });
  }

  Model& model() { return *model_; }
  Backend& backend() { return backend_; }
  auto& loss_scale() { return backend_.loss_scale(); }
  Window& window() { return window_; }
  OptimizerType& optimizer() { return configured_.optimizer(); }
  const OptimizerType& optimizer() const { return configured_.optimizer(); }
  Metrics& metrics() { return metrics_; }
  const Metrics& metrics() const { return metrics_; }
  Progress& progress() { return progress_; }
  const Progress& progress() const { return progress_; }
  const Policies& policies() const { return policies_; }
  auto& callbacks() { return callbacks_; }
  bool& stop_requested() { return stop_requested_; }
  /// From here on the model's schedules stand still: whoever calls this sets the learning rates.
  void suspend_schedules() { schedules_suspended_ = true; }
  std::optional<std::int64_t>& epoch_size() { return epoch_size_; }

 private:
  Configured prepare_and_configure() {
    backend_.prepare(*model_);
    notify<hooks::setup_hook>();
    return configured(model_->configure_optimizers());
  }

  /// Whether one of the hosts asks to end the epoch before this batch. All are asked.
  template <class Batch>
  FULGURITE_INLINE bool wants_to_end_epoch(const Batch& batch, Step& step) {
    bool ends = false;
    boost::hana::for_each(callbacks_, [&](auto& callback) FULGURITE_INLINE { ends |= asks_to_end(callback, batch, step); });
    return asks_to_end(*model_, batch, step) || ends;
  }

  template <class Host, class Batch>
  FULGURITE_INLINE static bool asks_to_end(Host& host, const Batch& batch, Step& step) {
    using Answer = decltype(hooks::call<hooks::on_train_batch_start_hook>(host, batch, step));
    if constexpr (std::same_as<std::remove_cvref_t<Answer>, EpochControl>) {
      return hooks::call<hooks::on_train_batch_start_hook>(host, batch, step) == EpochControl::end_epoch;
    } else {
      static_assert(std::is_void_v<Answer>,
                    "on_train_batch_start must return nothing, or fg::EpochControl. See docs/errors/hook-shape.md");
      hooks::call<hooks::on_train_batch_start_hook>(host, batch, step);
      return false;
    }
  }

  template <class Batch, class Loss>
  FULGURITE_INLINE void train_automatically(const Batch& batch, Step& step, StepResult<Loss>& result, bool last) {
    if (!window_.is_open()) window_.open(policies_.accumulation(), progress_.epoch, remaining_batches());
    Closure<Engine, Batch, Step, Loss> closure(*this, batch, step, result);
    const bool closes = window_.closes(last);
    if (closes) {
      result.stepped = close_window(step, closure);
    } else {
      closure();
      window_.add_batch();
    }
    if (result.stepped) advance_step_schedules(progress_.batch + 1);
    if constexpr (Configured::schedule_count > 0) {
      if (last) advance_epoch_schedules(progress_.batch + 1);
    }
  }

  /// Steps on the gradients of a window whose epoch has ended.
  void close_open_window() {
    Step step(*this, {Stage::training, progress_.batch, true, 1.0});
    NothingLeftToRun nothing;
    if (close_window(step, nothing)) {
      advance_step_schedules(progress_.batch);
      if constexpr (follows_metrics) metric_schedules_due_ = true;
    }
  }

  template <class Batch, class Loss>
  void train_manually(const Batch& batch, Step& step, StepResult<Loss>& result) {
    const std::int64_t before = progress_.global_step;
    {
      [[maybe_unused]] auto guard = backend_.forward_guard();
      if constexpr (std::same_as<Loss, NoLoss>) {
        hooks::training_step_hook::call(*model_, batch, step);
      } else {
        result.loss = hooks::training_step_hook::call(*model_, batch, step);
      }
    }
    if constexpr (scales_loss) backend_.loss_scale().update();
    result.stepped = progress_.global_step > before;
  }

  /// The optimizer step of a window, through the model's override if it has one. False if there was nothing to step on.
  template <class AnyClosure>
  FULGURITE_INLINE bool close_window(Step& step, AnyClosure& closure) {
    if constexpr (hooks::present<hooks::optimizer_step_hook, Model>) {
      auto handle = step.optimizers();
      hooks::call<hooks::optimizer_step_hook>(*model_, handle, closure, step);
      if (!closure.ran()) {
        throw std::logic_error(
            "fulgurite: the model's optimizer_step did not run the closure, so this batch was not trained: call "
            "optimizer.step(closure), or closure() alone");
      }
    } else {
      update(step, closure);
    }
    const bool stepped = !window_.nothing_to_step_on() && !overflowed();
    if constexpr (scales_loss) {
      if (!window_.nothing_to_step_on()) backend_.loss_scale().update();
    }
    window_.close();
    ++progress_.windows;
    if (stepped) {
      count_step();
    } else {
      ++progress_.skipped_steps;
    }
    return stepped;
  }

  FULGURITE_INLINE void count_step() {
    ++progress_.global_step;
    ++progress_.steps_in_epoch;
  }

  FULGURITE_INLINE void unscale_gradients() {
    if constexpr (scales_loss) optimizer().gradients().unscale();
  }

  /// The loss scale had the step skipped, since a gradient was not finite. On a GPU this waits for the step.
  FULGURITE_INLINE bool overflowed() {
    if constexpr (scales_loss) {
      return backend_.loss_scale().skipped();
    } else {
      return false;
    }
  }

  FULGURITE_INLINE void correct_mean() {
    if constexpr (ScalesGradients<OptimizerType>) {
      if (const double correction = window_.take_correction(); correction != 1.0) optimizer().gradients().scale(correction);
    }
  }

  FULGURITE_INLINE void clip(Step& step) {
    if constexpr (hooks::present<hooks::configure_gradient_clipping_hook, Model>) {
      auto handle = step.optimizers();
      hooks::call<hooks::configure_gradient_clipping_hook>(*model_, handle, step);
    } else if constexpr (!std::same_as<std::remove_cvref_t<decltype(policies_.clipping())>, NoClipping>) {
      auto gradients = optimizer().gradients();
      policies_.clipping().clip(gradients);
    }
  }

  FULGURITE_INLINE void advance_step_schedules(std::int64_t batches) {
    const SchedulePoint point{progress_.epoch, batches, progress_.steps_in_epoch};
    for_each_schedule([&](auto& schedule) {
      if (schedule.due_after_step(policies_.scheduler_interval(), point)) advance(schedule);
    });
  }

  template <class Schedule>
  void advance_on_metric(Schedule& schedule, bool after_step) {
    if (const auto metric = schedule.new_metric(metrics_, after_step)) advance(schedule, metric);
  }

  template <class Schedule>
  void advance(Schedule& schedule, std::optional<double> metric = std::nullopt) {
    if (schedules_suspended_) return;
    SchedulerHandle handle(schedule, optimizer(), metrics_, metric);
    if constexpr (hooks::present<hooks::lr_scheduler_step_hook, Model>) {
      Step step = edge(Stage::training);
      hooks::call<hooks::lr_scheduler_step_hook>(*model_, handle, step);
    } else {
      handle.step();
    }
  }

  template <class F>
  FULGURITE_INLINE void for_each_schedule(F&& f) {
    if constexpr (Configured::schedule_count > 0) {
      boost::hana::for_each(configured_.schedules(), [&](auto& schedule) FULGURITE_INLINE {
        if constexpr (!std::remove_cvref_t<decltype(schedule)>::follows_metric) f(schedule);
      });
    }
  }

  template <class F>
  void for_each_metric_schedule(F&& f) {
    if constexpr (follows_metrics) {
      boost::hana::for_each(configured_.schedules(), [&](auto& schedule) {
        if constexpr (std::remove_cvref_t<decltype(schedule)>::follows_metric) f(schedule);
      });
    }
  }

  FULGURITE_INLINE std::int64_t remaining_batches() const { return epoch_size_ ? *epoch_size_ - progress_.batch : -1; }

  Model* model_;
  Policies policies_;
  boost::hana::tuple<Callbacks...> callbacks_;
  Backend backend_;
  Configured configured_;
  Progress progress_;
  Window window_;
  Metrics metrics_;
  Logbook logbook_;
  std::optional<std::int64_t> epoch_size_;  // batches in the running epoch, if known
  bool epoch_open_ = false;
  bool epoch_schedules_done_ = false;
  bool metric_schedules_due_ = false;  // a step was made after which schedules that follow a metric have not been asked
  bool stop_requested_ = false;
  bool schedules_suspended_ = false;
};

}  // namespace fulgurite::detail
