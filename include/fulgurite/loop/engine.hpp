// SPDX-License-Identifier: MIT
// The engine: everything that a training holds, and how one batch flows through it. trainer.hpp drives it; it is keyed
// on the policies in slot order, so equal trainers share one instantiation.
#pragma once

#include <boost/hana/at.hpp>
#include <boost/hana/for_each.hpp>
#include <boost/hana/tuple.hpp>
#include <boost/hana/unpack.hpp>

#include <array>
#include <charconv>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

#include <fulgurite/concepts/backend.hpp>
#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/logging/hyperparameters.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/logging/notice.hpp>
#include <fulgurite/policies/accumulation.hpp>
#include <fulgurite/policies/callback.hpp>
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/non_finite.hpp>
#include "closure.hpp"
#include "configured_optimizers.hpp"
#include "engine_step.hpp"
#include "errors.hpp"
#include "evaluations.hpp"
#include "fit_clock.hpp"
#include "fit_end.hpp"
#include "frozen_closure.hpp"
#include "handles.hpp"
#include "logbook.hpp"
#include "loss.hpp"
#include "optimizer_index.hpp"
#include "progress.hpp"
#include "result.hpp"
#include "running_optimizer.hpp"
#include "schedule_steps.hpp"
#include "window.hpp"

namespace fulgurite::detail {

template <class Model, class Batch, class Step, std::size_t I, bool ToldWhich>
struct training_step_result {
  using type = decltype(std::declval<Model&>().training_step(std::declval<const Batch&>(), std::declval<Step&>()));
};
template <class Model, class Batch, class Step, std::size_t I>
struct training_step_result<Model, Batch, Step, I, true> {
  using type = decltype(std::declval<Model&>().training_step(std::declval<const Batch&>(), std::declval<Step&>(),
                                                             std::declval<OptimizerIndex<I>&>()));
};

/// Where a training is that the program's own loop makes.
enum class OwnPlace { elsewhere, between_batches, in_batch };

template <class Model, class Policies, class... Callbacks>
class Engine {
 public:
  using Configuration = decltype(all_configured(std::declval<Model&>().configure_optimizers()));
  using Facts = OptimizerFacts<Configuration>;
  static constexpr std::size_t optimizer_count = Configuration::count;
  template <std::size_t I>
  using ConfiguredAt = typename Configuration::template at<I>;
  template <std::size_t I>
  using OptimizerAt = typename ConfiguredAt<I>::optimizer_type;
  template <std::size_t I>
  using ClippingAt = std::remove_cvref_t<decltype(std::declval<ConfiguredAt<I>&>().clipping_or(
      std::declval<const Policies&>().clipping()))>;

  using Precision = std::remove_cvref_t<decltype(std::declval<const Policies&>().precision())>;
  using Backend = typename backend_of<typename Facts::FirstOptimizer, Precision>::type;
  using Step = EngineStep<Engine, Model>;

  static constexpr bool manual = Policies::manual;
  /// training_step is told for which optimizer it is called.
  static constexpr bool is_told_which = !manual && optimizer_count > 1;
  static constexpr bool accumulates =
      !std::same_as<std::remove_cvref_t<decltype(std::declval<const Policies&>().accumulation())>, NoAccumulation>;
  static constexpr bool follows_metrics = !manual && Facts::follow_metrics;
  static constexpr bool scales_loss = ScalesLoss<Precision>;
  static constexpr bool freezes = std::remove_cvref_t<decltype(std::declval<const Policies&>().execution())>::freezes;
  static constexpr bool checks_finite =
      std::remove_cvref_t<decltype(std::declval<const Policies&>().non_finite())>::checks;

  /// Of the model and its callbacks one has a hook between forward and backward pass.
  static constexpr bool hosts_act_within_closure =
      hooks::act_within_closure<Model> || (hooks::act_within_closure<Callbacks> || ...);
  /// fg::Frozen may put clipping and update on a tape: nothing of the program stands there, and no number on the host
  /// changes.
  template <std::size_t I>
  static constexpr bool freezes_update =
      freezes && !scales_loss && RepeatsUpdate<OptimizerAt<I>> && RepeatsClipping<ClippingAt<I>> &&
      !hooks::present<hooks::configure_gradient_clipping_hook, Model> &&
      !hooks::present<hooks::on_before_optimizer_step_hook, Model> &&
      !(hooks::present<hooks::on_before_optimizer_step_hook, Callbacks> || ...);
  static constexpr bool has_logger = (hooks::present<hooks::log_metrics_hook, Callbacks> || ...);

  template <class Batch>
  using TakenBatch = std::remove_cvref_t<decltype(std::declval<Backend&>().take(std::declval<const Batch&>()))>;

  /// training_step for the `I`-th optimizer.
  template <std::size_t I, class Batch>
  FULGURITE_INLINE decltype(auto) training_step(OptimizerIndex<I> index, const Batch& batch, Step& step) {
    if constexpr (is_told_which) {
      return hooks::training_step_hook::call(*model_, batch, step, index);
    } else {
      return hooks::training_step_hook::call(*model_, batch, step);
    }
  }

  /// What that is for a range of `Batch`.
  template <class Batch, std::size_t I = 0>
  using Returned = typename training_step_result<Model, TakenBatch<Batch>, Step, I, is_told_which>::type;
  template <class Batch>
  using LossFor = typename std::conditional_t<std::is_void_v<Returned<Batch>>, std::type_identity<NoLoss>,
                                              loss_of<std::remove_cvref_t<Returned<Batch>>>>::type;
  template <class Batch>
  using Result = StepResult<LossFor<Batch>, is_told_which ? optimizer_count : 1>;

  Engine(Model& model, Policies policies, boost::hana::tuple<Callbacks...> callbacks)
      : model_(&model),
        policies_(std::move(policies)),
        callbacks_(std::move(callbacks)),
        backend_(policies_.device().place(), policies_.precision()),
        running_(prepare_and_configure()),
        toggles_(boost::hana::unpack(running_, [](auto&... running) { return Toggles(running.optimizer()...); })),
        frozen_(boost::hana::unpack(running_, [&](auto&... running) {
          return std::array{(static_cast<void>(running), FrozenMember(policies_.execution()))...};
        })) {
    for_each_optimizer([&](auto index) {
      if constexpr (scales_loss) backend_.loss_scale().attach(running(index).optimizer());
      running(index).configured().attach_schedules();
      backend_.require_parameters(running(index).optimizer());
    });
    (reserve_columns<Callbacks>(), ...);
    backend_.note_parameters(*model_, all_parameters());
  }

  Engine(Engine&&) = default;

  // --- one batch -----------------------------------------------------------------------------------------------------

  /// One batch through the whole compiled path, in an epoch that has begun. `last`: it ends its epoch. `asked`: a hook has
  /// asked for something to be done between two batches, so that `rest()` is due. (It asks its step, which lives in here:
  /// who never asks pays nothing.)
  template <class Batch>
  FULGURITE_INLINE Result<Batch> train_batch(const Batch& given, bool last, bool& asked) {
    // Here and not with the batch before: a validation may have come in between.
    advance_metric_schedules_after_step();
    decltype(auto) batch = backend_.take(given);
    Step step(*this, {Stage::training, &progress_.batch, last, backend_.batch_size(batch)});
    Result<Batch> result;

    if (wants_to_end_epoch(batch, step)) {
      close_windows();  // what they had gathered is dropped, as in PyTorch Lightning
      result.ends_epoch = true;
      note_place(result);
      asked = was_asked(step);
      return result;
    }
    if constexpr (manual) {
      train_manually(batch, step, result);
    } else {
      train_automatically(batch, step, result, last);
    }
    for_each_optimizer([&](auto index) FULGURITE_INLINE { result.stepped |= step.taken_[index]; });
    ++progress_.batches;
    note_place(result);
    notify<hooks::on_train_batch_end_hook>(std::as_const(result), batch, step);
    if constexpr (has_logger) logbook_.after_batch(*this, step);
    ++progress_.batch;
    note_steps(step);
    asked = was_asked(step);
    return result;
  }

  /// The update behind `optimizer.step(closure)`: run the closure, correct the window's mean, clip, step.
  template <std::size_t I, class Closure>
  FULGURITE_INLINE void update(OptimizerIndex<I> index, Step& step, Closure&& closure) {
    auto& optimizer = running(index).optimizer();
    if constexpr (NeedsClosure<OptimizerAt<I>>) {
      Evaluations evaluations(metrics_);
      optimizer.step([&] {
        evaluations.begin();
        auto loss = closure();
        if (has_gradients(index, step)) prepare_gradients(index, step);
        if constexpr (manual) {
          return std::optional(std::move(loss));
        } else {
          return loss;
        }
      });
      if constexpr (requires { optimizer.accepted_evaluation(); }) evaluations.keep(optimizer.accepted_evaluation());
    } else {
      closure();
      if (!has_gradients(index, step)) return;
      if constexpr (freezes_update<I>) {
        correct_mean(index, step);
        const auto clip_and_step = [&] {
          clip(index, step);
          step_optimizer(index);
        };
        if (decides_on_host(clipping(index))) {
          clip_and_step();
        } else {
          frozen(index).update(optimizer, clip_and_step);
        }
      } else {
        if constexpr (manual) {
          if (!running(index).zeroing_looked_at()) [[unlikely]] look_at_zeroing(index);
        }
        prepare_gradients(index, step);
        step_optimizer(index);
      }
    }
    if constexpr (manual) finish_step(index, step, !overflowed(index));
  }

  /// Throws for a model that is not the one that the optimizers train; says what is to be said of it.
  void require_trainable() { backend_.require_same_parameters(*model_, all_parameters()); }
  void mention_modes() {
    if (const std::string text = backend_.modes_to_mention(*model_); !text.empty()) notice(text);
  }

  /// For the errors of a batch: "in batch 2 of epoch 0".
  std::string place(Stage stage, std::int64_t batch) const {
    return "in batch " + std::to_string(batch) + " of " + (stage == Stage::training ? "" : "a validation in ") + "epoch " +
           std::to_string(progress_.epoch);
  }
  /// A batch's gradients were not finite, as a clipping policy found.
  [[noreturn]] void stop_on_non_finite_gradient() {
    const std::string gradient = backend_.first_non_finite_gradient(*model_);
    throw NonFiniteGradient(place(Stage::training, progress_.batch) +
                            (gradient.empty() ? gradient : ", first in " + gradient));
  }

  template <std::size_t I>
  FULGURITE_INLINE void open_window(OptimizerIndex<I> index) {
    if constexpr (accumulates) {
      running(index).window().open(policies_.accumulation(), progress_.epoch, epoch_size_, progress_.batch);
    }
  }

  /// What the first batch of an accumulation window does after its forward pass.
  template <std::size_t I>
  FULGURITE_INLINE void begin_window(OptimizerIndex<I> index, Step& step) {
    open_window(index);
    auto handle = step.handle(index);
    notify<hooks::on_before_zero_grad_hook>(handle, step);
    if constexpr (hooks::present<hooks::optimizer_zero_grad_hook, Model>) {
      hooks::call<hooks::optimizer_zero_grad_hook>(*model_, handle, step);
    } else {
      running(index).optimizer().zero_grad();
    }
    note_backward();
  }

  /// New gradients come: the optimizers may step on them.
  FULGURITE_INLINE void note_backward() {
    if constexpr (scales_loss) backend_.loss_scale().begin_backward();
  }

  /// Whether a loss is to be differentiated: false leaves it out, as the non-finite policy says. Throws for a loss that is
  /// no scalar, and for one that is not finite if the policy says so, both before the loss changes anything. `again`: in an
  /// evaluation after the first of its step.
  template <class Loss>
  FULGURITE_INLINE bool usable(const Loss& loss, [[maybe_unused]] bool again = Facts::reevaluate) {
    backend_.check_loss(loss);
    if constexpr (checks_finite) {
      const std::optional<double> value = backend_.host_value(loss);
      if (value && !std::isfinite(*value)) [[unlikely]] {
        Loss copied = loss;  // so that the loss itself need not be in memory
        return on_non_finite(copied, *value, Facts::reevaluate && again);
      }
    }
    return true;
  }
  /// After a replay, which has left gradients that cannot be taken back.
  void on_non_finite_replay(double value) {
    if (policies_.non_finite().on_non_finite({progress_.epoch, progress_.batch, value}) == NonFiniteAction::ignore) return;
    stop_on_non_finite(value, false);
  }

  // --- the edges of an epoch -----------------------------------------------------------------------------------------

  /// Does nothing in an epoch that has begun.
  FULGURITE_INLINE void begin_epoch() {
    if (epoch_open_) return;
    epoch_open_ = true;
    epoch_schedules_done_ = false;
    metrics_.begin_epoch(Stage::training);
    notify<hooks::on_train_epoch_start_hook>(edge(Stage::training));
    rest();
  }

  /// After the last batch: steps on windows that are still open, then advances epoch schedules.
  void close_epoch() {
    if constexpr (!manual) {
      if constexpr (accumulates) close_open_windows();
      advance_epoch_schedules(progress_.batch);
    }
  }

  /// Ends the running epoch; does nothing if no batch has come since the last end. An epoch that a limit cut short
  /// (`completed` false) steps no epoch schedules and drops an open window. `rest()` is due then.
  void end_epoch(bool completed) {
    if (!epoch_open_) return;
    if (completed) close_epoch();
    close_windows();
    advance_metric_schedules_after_step();
    notify<hooks::on_train_epoch_end_hook>(edge(Stage::training));
    if constexpr (freezes) for_each_optimizer([&](auto index) { frozen(index).end_epoch(); });
    if constexpr (has_logger) logbook_.after_epoch(*this, Stage::training);
    if constexpr (follows_metrics) {
      if (completed) detail::advance_metric_schedules_after_epoch(*this);
    }
    ++progress_.epoch;
    forget_epoch();
  }

  /// Forgets a running epoch that an exception ended: it may begin anew. Open windows and their gradients are dropped.
  void abandon_epoch() {
    close_windows();
    epoch_size_ = std::nullopt;
    for_each_optimizer([&](auto index) { running(index).take_note_of_step(); });
    errands_.clear();
    forget_epoch();
  }

  bool epoch_open() const { return epoch_open_; }
  /// The running epoch was begun before a checkpoint that has been loaded since.
  bool epoch_resumed() const { return epoch_resumed_; }

  // --- calls of the program's own loop -------------------------------------------------------------------------------

  /// An epoch of the program's own loop is open, and no call of the program's runs (of which the caller would be a hook).
  FULGURITE_INLINE bool may_begin_own_batch() const { return own_place_ == OwnPlace::between_batches; }
  FULGURITE_INLINE void begin_own_batch() { own_place_ = OwnPlace::in_batch; }
  FULGURITE_INLINE void end_own_batch() { own_place_ = OwnPlace::between_batches; }

  /// A call of the program's that runs: "loop.step", "loop.end_epoch" or "a validation"; else nullptr. The caller is one of
  /// its hooks then.
  const char* own_call() const { return own_place_ == OwnPlace::in_batch ? "loop.step" : own_call_; }
  /// While it lives, a call of this name runs that is not the training of a batch.
  class OwnCall {
   public:
    OwnCall(Engine& engine, const char* name)
        : engine_(&engine),
          call_(std::exchange(engine.own_call_, name)),
          place_(std::exchange(engine.own_place_, OwnPlace::elsewhere)) {}
    OwnCall(const OwnCall&) = delete;
    OwnCall& operator=(const OwnCall&) = delete;
    ~OwnCall() {
      engine_->own_call_ = call_;
      engine_->own_place_ = place_;
      if (engine_->own_call() == nullptr) engine_->leave_own_batch();  // the call may have begun or ended an epoch
    }

   private:
    Engine* engine_;
    const char* call_;
    OwnPlace place_;
  };
  /// An epoch begins in the program's own loop, or goes on in it if it was loaded.
  void begin_own_epoch() {
    begin_epoch();
    own_epoch_open_ = true;
  }
  /// No batch runs any more, also if an exception has ended it.
  __attribute__((noinline, cold)) void leave_own_batch() {
    own_place_ = own_epoch_open_ ? OwnPlace::between_batches : OwnPlace::elsewhere;
  }

  // --- between two batches -------------------------------------------------------------------------------------------

  /// Has `act(*this)` called as soon as the training rests: when the batch is over with all of its hooks and its
  /// validation, if one is due; after an epoch's last batch when the epoch is over.
  void when_at_rest(std::function<void(Engine&)> act) { errands_.push_back(std::move(act)); }
  bool has_errands() const { return !errands_.empty(); }
  // Both out of line, so that the step stays as it is.
  __attribute__((noinline, cold)) void forget_errands() { errands_.clear(); }
  __attribute__((noinline, cold)) void rest() {
    for (const auto& errand : std::exchange(errands_, {})) errand(*this);
  }

  /// Drops windows on which a step has begun, and failed.
  __attribute__((noinline, cold)) void drop_stepped_windows() {
    if constexpr (accumulates) {
      for_each_optimizer([&](auto index) {
        Window& window = running(index).window();
        if (window.is_stepped_on(policies_.accumulation(), progress_.epoch)) window.close();
      });
    }
  }

  /// All that another run needs to go on from here; parameters, buffers, gradients and random streams are the world's.
  template <class Archive>
  void state(Archive& archive) {
    archive.same("optimization", manual ? "manual" : "automatic", "give the trainer the policies that it had");
    archive.same("loss scale", scales_loss ? "used" : "not used", "give the trainer the precision that it had");
    archive.same_class("precision", policies_.precision(), "give the trainer the precision that it had");
    archive.same("number of optimizers", std::to_string(optimizer_count), "make the model with the optimizers that it had");
    archive("progress", progress_);
    archive("metrics", metrics_);
    if constexpr (scales_loss) archive("loss_scale", backend_.loss_scale());
    if constexpr (Facts::have_schedules) schedule_interval_state(archive);
    for_each_optimizer([&](auto index) { archive("optimizer_" + std::to_string(index), running(index)); });
    if (has_open_window()) {
      if constexpr (accumulates) {
        archive.same("accumulation window", std::to_string(policies_.accumulation().window(progress_.epoch)) + " batches",
                     "give the trainer the accumulation policy that it had");
      } else if constexpr (Archive::loads) {
        archive.refuse("accumulation window", "is open, and this trainer has none: give it the fg::Accumulate that it had");
      }
    }
    archive("epoch_size", epoch_size_);
    archive("epoch_open", epoch_open_);
    archive("epoch_schedules_done", epoch_schedules_done_);
    archive("schedules_suspended", schedules_suspended_);
    // Of a request that ends this fit the file says nothing: the training goes on from it. One that waits for a minimum is
    // kept, also from one file to the next if no fit has begun between.
    bool waits = end_ != nullptr ? stop_requested_ && !end_->stops() : resumed_ && loaded_stop_;
    archive("stop_requested", waits);
    archive("clock", clock_);
    if constexpr (Archive::loads) {
      stop_requested_ = loaded_stop_ = waits;
      validated_after_ = std::nullopt;
      if (!archive.has("validated_after")) return;  // older files
    }
    archive("validated_after", validated_after_);
  }
  /// The optimizers' states lie in other memory.
  void forget_tapes() {
    for_each_optimizer([&](auto index) { frozen(index) = FrozenMember(policies_.execution()); });
  }
  /// The state was loaded, and the world's too.
  void begin_resumed() {
    forget_tapes();
    loss_scale_due_ = false;
    close_own_epoch();
    epoch_resumed_ = epoch_open_;
    resumed_ = true;
  }
  /// A fit failed before it touched the epoch that was loaded.
  void stay_resumed() { resumed_ = true; }

  /// Gradients are part of the state: a window is open, or nobody knows when they are zeroed.
  bool keeps_gradients() const {
    return manual || hooks::present<hooks::optimizer_zero_grad_hook, Model> || has_open_window();
  }

  /// Schedules that follow a metric come after the validation and on_train_epoch_end that may log it. In manual mode the
  /// model advances them itself.
  FULGURITE_INLINE void advance_metric_schedules_after_step() {
    if constexpr (follows_metrics) detail::advance_metric_schedules_after_step(*this);
  }

  // --- hooks and parts -----------------------------------------------------------------------------------------------

  /// Calls a hook of every callback that has it, in order, then the model's.
  template <class Hook, class... Arguments>
  FULGURITE_INLINE void notify(Arguments&&... arguments) {
    boost::hana::for_each(callbacks_, [&](auto& callback) FULGURITE_INLINE {
      if constexpr (!comes_after_model<Hook, decltype(callback)>) hooks::call<Hook>(callback, arguments...);
    });
    hooks::call<Hook>(*model_, arguments...);
    boost::hana::for_each(callbacks_, [&](auto& callback) FULGURITE_INLINE {
      if constexpr (comes_after_model<Hook, decltype(callback)>) hooks::call<Hook>(callback, arguments...);
    });
  }

  /// Calls f(fg::OptimizerIndex<I>) for every optimizer, in order.
  template <class F>
  FULGURITE_INLINE static constexpr void for_each_optimizer(F&& f) {
    [&]<std::size_t... I>(std::index_sequence<I...>) FULGURITE_INLINE {
      (f(optimizer_index<I>), ...);
    }(std::make_index_sequence<optimizer_count>{});
  }

  Step edge(Stage stage) { return Step(*this, {stage, &progress_.batch, false, 1.0, true}); }

  /// Batches in which the optimizers have been stepped: the x axis of logs.
  FULGURITE_INLINE std::int64_t logged_steps() const { return manual ? progress_.batches : progress_.windows; }
  Logbook& logbook() { return logbook_; }

  /// Calls a hook of loggers, which a model does not have.
  template <class Hook, class Argument>
  void tell_loggers(const Argument& argument) {
    boost::hana::for_each(callbacks_, [&](auto& callback) { hooks::call<Hook>(callback, argument); });
  }

  template <std::size_t I>
  FULGURITE_INLINE auto& running(OptimizerIndex<I>) {
    return boost::hana::at_c<I>(running_);
  }
  template <std::size_t I>
  FULGURITE_INLINE const auto& running(OptimizerIndex<I>) const {
    return boost::hana::at_c<I>(running_);
  }

  bool has_open_window() const {
    bool open = false;
    for_each_optimizer([&](auto index) { open |= running(index).window().is_open(); });
    return open;
  }

  /// The accumulation window to which a batch belongs, for one of the optimizers.
  template <std::size_t I>
  FULGURITE_INLINE auto& window(OptimizerIndex<I> index, Step& step) {
    if constexpr (accumulates) {
      return running(index).window();
    } else {
      return step.windows_[I];
    }
  }

  /// The tapes of one of the optimizers.
  template <std::size_t I>
  auto& frozen(OptimizerIndex<I>) {
    return frozen_[I];
  }
  template <std::size_t I>
  const auto& frozen(OptimizerIndex<I>) const {
    return frozen_[I];
  }

  /// What step.toggle returns.
  template <std::size_t I>
  auto toggle(OptimizerIndex<I>) {
    return toggles_.only(I);
  }

  Model& model() { return *model_; }
  Backend& backend() { return backend_; }
  auto& loss_scale() { return backend_.loss_scale(); }
  Metrics& metrics() { return metrics_; }
  const Metrics& metrics() const { return metrics_; }
  Progress& progress() { return progress_; }
  const Progress& progress() const { return progress_; }
  const Policies& policies() const { return policies_; }
  auto& callbacks() { return callbacks_; }
  bool& stop_requested() { return stop_requested_; }
  bool stop_requested() const { return stop_requested_; }
  FitClock& clock() { return clock_; }
  Hyperparameters& hyperparameters() { return hyperparameters_; }
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  /// A fit begins: where the checkpoint was saved if one was loaded since the last fit, else with no request and no time
  /// spent. Returns whether one was loaded.
  bool begin_fit() {
    if (std::exchange(resumed_, false)) return true;
    stop_requested_ = false;
    clock_.reset();
    return false;
  }
  /// A fit runs while what this returns lives, and `end` says when it ends.
  [[nodiscard]] auto run_fit(const FitEnd& end) {
    end_ = &end;
    close_own_epoch();
    struct Running {
      Engine* engine;
      decltype(std::declval<FitClock&>().run()) clock;
      ~Running() { engine->end_ = nullptr; }
    };
    return Running{this, clock_.run()};
  }
  /// A fit of this trainer runs: the caller is one of its hooks.
  bool fits() const { return end_ != nullptr; }

  /// True once: no loop of the program's own has begun an epoch before.
  bool begins_own_loop() { return !std::exchange(own_loop_began_, true); }

  /// A validation was made after the batch that was trained last.
  bool validated() const { return validated_after_ == progress_.batches; }
  void note_validation() { validated_after_ = progress_.batches; }
  /// From here on the model's schedules stand still: whoever calls this sets the learning rates.
  void suspend_schedules() { schedules_suspended_ = true; }
  bool schedules_suspended() const { return schedules_suspended_; }
  std::optional<std::int64_t>& epoch_size() { return epoch_size_; }

 private:
  /// The interval of schedules that have none of their own; files of earlier versions do not say it.
  template <class Archive>
  void schedule_interval_state(Archive& archive) {
    auto interval = policies_.scheduler_interval();
    std::string fix = "give the trainer the interval of schedules that it had";
    if constexpr (Archive::loads) {
      if (!archive.has("schedule_interval")) return;
    }
    archive.same_class("schedule_interval", interval, fix);
    if constexpr (requires { std::to_string(interval.frequency); }) {
      constexpr bool can_be_set =
          requires(const char* text) {
            requires std::integral<std::remove_reference_t<decltype((interval.frequency))>>;
            interval.frequency = 1;
            std::from_chars(text, text, interval.frequency);
            policies_.set_scheduler_interval(interval);
          };
      if constexpr (Archive::loads && can_be_set) {
        if (archive.takes_schedules_over()) return take_over_schedule_frequency(archive, interval);
        fix += ", or ask for the saved values (fg::ScheduleValues::taken_over)";
      }
      archive.same("schedule_interval_frequency", std::to_string(interval.frequency), fix);
    }
  }
  template <class Archive, class Interval>
  void take_over_schedule_frequency(Archive& archive, Interval interval) {
    std::string saved;
    archive("schedule_interval_frequency", saved);
    const char* const end = saved.data() + saved.size();
    const auto read = std::from_chars(saved.data(), end, interval.frequency);
    if (read.ec != std::errc() || read.ptr != end) archive.refuse("schedule_interval_frequency", "is not a number");
    require_sensible(interval);
    policies_.set_scheduler_interval(interval);
  }

 private:
  /// Applies the policy; true goes on as if nothing had happened.
  template <class Loss>
  FULGURITE_INLINE bool on_non_finite(Loss& loss, double value, bool within_search) {
    switch (policies_.non_finite().on_non_finite({progress_.epoch, progress_.batch, value})) {
      case NonFiniteAction::ignore: return true;
      case NonFiniteAction::skip: return false;
      case NonFiniteAction::stop: break;
    }
    trace_and_stop(loss, value, within_search);
  }

  // Both out of line, so that no part of the step is shared with them.
  template <class Loss>
  [[noreturn]] __attribute__((noinline, cold)) void trace_and_stop(Loss& loss, double value, bool within_search) {
    backend_.backward(loss, 1.0);  // only to find out where it comes from
    stop_on_non_finite(value, within_search);
  }

  [[noreturn]] __attribute__((noinline, cold)) void stop_on_non_finite(double value, bool within_search) {
    const std::string gradient = backend_.first_non_finite_gradient(*model_);
    const NonFiniteCircumstances circumstances{.parameter = backend_.first_non_finite_parameter(*model_),
                                               .within_search = within_search,
                                               .can_be_skipped = !freezes && !Facts::reevaluate};
    for_each_optimizer([&](auto index) { running(index).optimizer().zero_grad(); });
    close_windows();
    throw NonFiniteLoss(progress_.epoch, progress_.batch, value, gradient, circumstances);
  }

  using Toggles = typename Backend::Toggles;
  using RunningOptimizers = running_optimizers_of<Configuration>;
  using FrozenMember = typename frozen_member<Backend, freezes>::type;

  template <class Hook, class Host>
  static constexpr bool comes_after_model =
      FollowsMetrics<std::remove_cvref_t<Host>> &&
      (std::same_as<Hook, hooks::on_train_batch_end_hook> || std::same_as<Hook, hooks::on_validation_end_hook> ||
       std::same_as<Hook, hooks::on_train_epoch_end_hook>);

  template <class Callback>
  void reserve_columns() {
    if constexpr (hooks::present<hooks::log_metrics_hook, Callback>) {
      for (const std::string_view column : columns_of_logger<Callback>) metrics_.reserve(column);
    }
  }

  /// By hand: whether gradients are zeroed between an optimizer's first two steps.
  template <std::size_t I>
  __attribute__((noinline, cold)) void look_at_zeroing(OptimizerIndex<I> index) {
    auto& optimizer = running(index).optimizer();
    if (running(index).look_at_zeroing() == Zeroing::missing && backend_.has_same_gradient(I, optimizer)) {
      notice("fulgurite: " + optimizer_name(optimizer) + " steps again without its zero_grad() since its last step, so that "
             "gradients add up unless they are set to 0 in place: call optimizer.zero_grad() before the backward pass");
    }
    backend_.note_gradient(I, optimizer);
  }

  /// Calls f(parameter) for those of all optimizers that tell theirs. Returns whether all do.
  auto all_parameters() {
    return [this](const auto& f) {
      bool all = true;
      for_each_optimizer([&](auto index) {
        if constexpr (requires { running(index).optimizer().for_each_parameter(f); }) {
          running(index).optimizer().for_each_parameter(f);
        } else {
          all = false;
        }
      });
      return all;
    };
  }

  typename RunningOptimizers::type prepare_and_configure() {
    backend_.prepare(*model_);
    notify<hooks::setup_hook>();
    return RunningOptimizers::make(all_configured(model_->configure_optimizers()));
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

  /// lr_scheduler_step has a step of its own.
  FULGURITE_INLINE bool was_asked(const Step& step) const {
    if constexpr (hooks::present<hooks::lr_scheduler_step_hook, Model>) {
      return !errands_.empty();
    } else {
      return step.asked_;
    }
  }

  /// Every optimizer whose turn it is, one after the other: each sees the parameters as the one before left them. Then
  /// the schedules.
  template <class Batch, class Outcome>
  FULGURITE_INLINE void train_automatically(const Batch& batch, Step& step, Outcome& result, bool last) {
    bool closed = false;
    const auto train = [&](auto index) FULGURITE_INLINE {
      if constexpr (optimizer_count == 1) {
        closed = train_one(index, batch, step, result.loss, last);
      } else {
        if (!has_its_turn(index)) return;
        [[maybe_unused]] const auto only = toggles_.only(index);
        closed = train_one(index, batch, step, result.losses[index], last);
      }
    };
    for_each_optimizer(train);
    if (closed) ++progress_.windows;
    update_loss_scale();
    if constexpr (Facts::have_schedules) {
      detail::advance_step_schedules(*this, step.taken_, progress_.batch + 1);
      if (last) advance_epoch_schedules(progress_.batch + 1);
    }
  }

  /// One batch for one optimizer. Whether it closed the accumulation window.
  template <std::size_t I, class Batch, class Loss>
  FULGURITE_INLINE bool train_one(OptimizerIndex<I> index, const Batch& batch, Step& step, std::optional<Loss>& loss,
                                  bool last) {
    using ThisClosure = std::conditional_t<freezes, FrozenClosure<Engine, I, Batch, Step, Loss>,
                                           Closure<Engine, I, Batch, Step, Loss>>;
    ThisClosure closure(*this, index, batch, step, loss);
    if constexpr (!accumulates) {
      close_window(index, step, closure);
      return true;
    } else if constexpr (freezes || hooks::present<hooks::optimizer_step_hook, Model>) {
      const bool closes = running(index).window().closes(policies_.accumulation(), progress_.epoch, last);
      closes ? close_window(index, step, closure) : static_cast<void>(closure());
      return closes;
    } else {  // nobody but the engine runs the closure: it is the same one whether the window closes or not
      closure();
      const bool full = running(index).window().is_full(policies_.accumulation(), progress_.epoch, last);
      if (full) step_on_window(index, step, last);
      return full;
    }
  }

  /// The optimizer step of a window whose last closure has run.
  template <std::size_t I>
  FULGURITE_INLINE void step_on_window(OptimizerIndex<I> index, Step& step, bool last) {
    auto& window = running(index).window();
    if (window.is_ordinary(last)) [[likely]] {
      unscale_gradients(index);
      offer_gradients(index, step);
      step_optimizer(index);
      finish_step(index, step, !overflowed(index));
      window.close_ordinary();
    } else {
      NothingLeftToRun nothing;
      close_window(index, step, nothing);
    }
  }

  /// Whether this batch belongs to the `I`-th optimizer: all do, unless they take turns.
  template <std::size_t I>
  FULGURITE_INLINE bool has_its_turn(OptimizerIndex<I>) const {
    if constexpr (Facts::take_turns) {
      std::int64_t begin = 0;
      std::int64_t cycle = 0;
      for_each_optimizer([&](auto other) FULGURITE_INLINE {
        const std::int64_t batches = running(other).configured().share().batches;
        if (other < I) begin += batches;
        cycle += batches;
      });
      const std::int64_t place = progress_.batch % cycle - begin;
      return place >= 0 && place < running(optimizer_index<I>).configured().share().batches;
    } else {
      return true;
    }
  }

  /// Steps on the gradients of windows whose epoch has ended.
  void close_open_windows() {
    Step step(*this, {Stage::training, &progress_.batch, true, 1.0});
    bool closed = false;
    for_each_optimizer([&](auto index) {
      if (!running(index).window().is_open()) return;
      NothingLeftToRun nothing;
      close_window(index, step, nothing);
      closed = true;
    });
    if (!closed) return;
    note_steps(step);
    ++progress_.windows;
    update_loss_scale();
    detail::advance_step_schedules(*this, step.taken_, progress_.batch);
  }

  /// Epoch schedules advance once an epoch: with its last batch, or when the epoch is ended without one.
  /// `batches`: of this epoch so far, the running one included.
  void advance_epoch_schedules(std::int64_t batches) {
    if (!std::exchange(epoch_schedules_done_, true)) detail::advance_epoch_schedules(*this, batches);
  }

  template <class Batch, class Outcome>
  void train_manually(const Batch& batch, Step& step, Outcome& result) {
    {
      [[maybe_unused]] auto guard = backend_.forward_guard();
      if constexpr (std::is_void_v<decltype(training_step(optimizer_index<0>, batch, step))>) {
        training_step(optimizer_index<0>, batch, step);
      } else {
        result.loss = training_step(optimizer_index<0>, batch, step);
      }
    }
    update_loss_scale();
  }

  /// The optimizer step of a window, through the model's override if it has one.
  template <std::size_t I, class AnyClosure>
  FULGURITE_INLINE void close_window(OptimizerIndex<I> index, Step& step, AnyClosure& closure) {
    if constexpr (hooks::present<hooks::optimizer_step_hook, Model>) {
      auto handle = step.handle(index);
      hooks::call<hooks::optimizer_step_hook>(*model_, handle, closure, step);
      if (!closure.ran()) {
        throw std::logic_error(
            "fulgurite: the model's optimizer_step did not run the closure, so this batch was not trained: call "
            "optimizer.step(closure), or closure() alone");
      }
    } else {
      update(index, step, closure);
    }
    finish_step(index, step, !window(index, step).nothing_to_step_on() && !overflowed(index));
    if constexpr (accumulates) running(index).window().close();
  }

  /// Counts a step that was made, or that fell away.
  template <std::size_t I>
  FULGURITE_INLINE void finish_step(OptimizerIndex<I> index, Step& step, bool made) {
    if (made) {
      ++progress_.global_step;
      running(index).count_step();
      step.taken_[index] = true;
    } else {
      ++progress_.skipped_steps;
    }
  }

  FULGURITE_INLINE void note_place(StepOutcome& outcome) const {
    outcome.epoch = progress_.epoch;
    outcome.batch = progress_.batch;
    outcome.global_step = progress_.global_step;
  }

  FULGURITE_INLINE void close_windows() {
    if constexpr (accumulates) for_each_optimizer([&](auto index) { running(index).window().close(); });
  }

  void close_own_epoch() {
    own_epoch_open_ = false;
    own_place_ = OwnPlace::elsewhere;
  }

  /// For schedules that follow a metric, which come later.
  void note_steps([[maybe_unused]] const Step& step) {
    if constexpr (follows_metrics) {
      for_each_optimizer([&](auto index) {
        if (step.taken_[index]) running(index).note_step();
      });
    }
  }

  void forget_epoch() {
    close_own_epoch();
    for_each_optimizer([&](auto index) { running(index).begin_epoch(); });
    progress_.batch = 0;
    epoch_open_ = false;
    epoch_resumed_ = false;
  }

  /// Not all batches of the window were left out.
  template <std::size_t I>
  FULGURITE_INLINE bool has_gradients(OptimizerIndex<I> index, Step& step) {
    if constexpr (manual) {
      return true;
    } else {
      return !window(index, step).nothing_to_step_on();
    }
  }

  /// What becomes of gradients between the last backward pass and the update.
  template <std::size_t I>
  FULGURITE_INLINE void prepare_gradients(OptimizerIndex<I> index, Step& step) {
    if constexpr (manual) {
      [[maybe_unused]] auto guard = backend_.full_precision_guard();
      unscale_gradients(index);
      notify<hooks::on_before_optimizer_step_hook>(step.handle(index), step);
    } else {
      unscale_gradients(index);
      correct_mean(index, step);
      offer_gradients(index, step);
    }
  }

  /// The window's mean: hooks may look at it, and it is clipped.
  template <std::size_t I>
  FULGURITE_INLINE void offer_gradients(OptimizerIndex<I> index, Step& step) {
    notify<hooks::on_before_optimizer_step_hook>(step.handle(index), step);
    clip(index, step);
  }

  template <std::size_t I>
  FULGURITE_INLINE void step_optimizer(OptimizerIndex<I> index) {
    [[maybe_unused]] auto guard = backend_.full_precision_guard();
    running(index).optimizer().step();
  }

  template <std::size_t I>
  FULGURITE_INLINE void unscale_gradients([[maybe_unused]] OptimizerIndex<I> index) {
    if constexpr (scales_loss) {
      const auto gradients = running(index).optimizer().gradients();
      gradients.divide_by_scale();
      loss_scale_due_ |= !gradients.tensors().empty();
    }
  }

  /// Once a batch, after the steps of all optimizers, if one of them had gradients.
  FULGURITE_INLINE void update_loss_scale() {
    if constexpr (scales_loss) {
      if (std::exchange(loss_scale_due_, false)) backend_.loss_scale().update();
    }
  }

  /// The loss scale had the step skipped, since a gradient was not finite. On a GPU this waits for the step.
  template <std::size_t I>
  FULGURITE_INLINE bool overflowed(OptimizerIndex<I>) {
    if constexpr (scales_loss) {
      return backend_.loss_scale().skipped(I);
    } else {
      return false;
    }
  }

  template <std::size_t I>
  FULGURITE_INLINE void correct_mean(OptimizerIndex<I> index, Step& step) {
    if constexpr (ScalesGradients<OptimizerAt<I>>) {
      const double correction = window(index, step).take_correction(policies_.accumulation(), step.is_last());
      if (correction != 1.0) running(index).optimizer().gradients().scale(correction);
    }
  }

  /// The optimizer's own policy, or the trainer's.
  template <std::size_t I>
  FULGURITE_INLINE const auto& clipping(OptimizerIndex<I> index) const {
    return running(index).configured().clipping_or(policies_.clipping());
  }

  template <std::size_t I>
  FULGURITE_INLINE void clip(OptimizerIndex<I> index, Step& step) {
    const auto& policy = clipping(index);
    if constexpr (hooks::present<hooks::configure_gradient_clipping_hook, Model>) {
      auto handle = step.handle(index);
      hooks::call<hooks::configure_gradient_clipping_hook>(*model_, handle, step);
    } else if constexpr (!std::same_as<std::remove_cvref_t<decltype(policy)>, NoClipping>) {
      auto gradients = running(index).optimizer().gradients();
      policy.clip(gradients);
    }
  }

  Model* model_;
  Policies policies_;
  boost::hana::tuple<Callbacks...> callbacks_;
  Backend backend_;
  typename RunningOptimizers::type running_;
  [[no_unique_address]] Toggles toggles_;
  std::array<FrozenMember, optimizer_count> frozen_;
  Progress progress_;
  Metrics metrics_;
  Logbook logbook_;
  std::optional<std::int64_t> epoch_size_;  // batches in the running epoch, if known
  bool epoch_open_ = false;
  bool own_epoch_open_ = false;  // which no fit has begun or goes on with
  OwnPlace own_place_ = OwnPlace::elsewhere;
  const char* own_call_ = nullptr;  // that runs, other than the training of a batch
  bool epoch_schedules_done_ = false;
  bool loss_scale_due_ = false;  // gradients were unscaled since the loss scale was last updated
  bool stop_requested_ = false;
  bool schedules_suspended_ = false;
  const FitEnd* end_ = nullptr;                    // of the fit that runs
  std::optional<std::int64_t> validated_after_;  // batches of all epochs at the last validation of a fit
  bool own_loop_began_ = false;
  bool resumed_ = false;        // loaded, and no fit has begun since
  bool loaded_stop_ = false;    // what was loaded last had a request to stop that waits
  bool epoch_resumed_ = false;  // loaded in the middle of an epoch, which is still running
  FitClock clock_;
  Hyperparameters hyperparameters_;
  std::vector<std::function<void(Engine&)>> errands_;  // that hooks have asked for
};

}  // namespace fulgurite::detail
