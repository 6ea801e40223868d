// SPDX-License-Identifier: MIT
// Read this first. fg::Trainer<Model, Policies...> composes training from static policies.
//
//   trainer.fit(train, validation)              this file
//     for each epoch                              Trainer::fit
//       for each batch                            concepts/batches.hpp, for_each_batch
//         loop.step(batch)                        loop/engine.hpp, Engine::train_batch
//           on_train_batch_start                  hooks/batch.hpp
//           optimizer_step { optimizer.step {     loop/engine.hpp, Engine::update
//             closure {                           loop/closure.hpp
//               training_step                       the model's
//               zero_grad, if a window begins       loop/window.hpp
//               backward                            concepts/backend.hpp, tensors/backend.hpp
//             }
//             on_before_optimizer_step, clipping  policies/clipping.hpp, tensors/gradients.hpp
//           } }                                   optim/: the update itself
//           schedules                             loop/schedule_steps.hpp, schedulers/
//           on_train_batch_end
//           loggers, if it is their turn          loop/logbook.hpp
//         a validation, if one is due             policies/validation.hpp, loop/passes.hpp
//         plateau schedules by step
//       the epoch's validation, on_train_epoch_end, plateau schedules by epoch
//
// Between the first batch of a window and its last, only the closure runs. What is checked at compile time, and with
// which sentence, stands in loop/checks.hpp and policies/policy_set.hpp.
#pragma once

#include <boost/hana/for_each.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "concepts/batches.hpp"
#include "detail/engine_access.hpp"
#include "detail/inline.hpp"
#include "detail/nothing.hpp"
#include "hooks/logging.hpp"
#include "logging/hyperparameters.hpp"
#include "logging/logged_value.hpp"
#include "logging/notice.hpp"
#include "loop/checks.hpp"
#include "loop/engine.hpp"
#include "loop/fit_end.hpp"
#include "loop/fit_run.hpp"
#include "loop/passes.hpp"
#include "loop/schedule_lengths.hpp"
#include "policies/limits.hpp"
#include "policies/policy_set.hpp"

namespace fulgurite {

/// Says that a batch is the last one of its epoch: `loop.step(batch, fg::last)`.
struct Last {};
inline constexpr Last last{};

/// The validation range of a fit without validation.
struct NoValidation {};

namespace detail {

template <class Model, class Range>
consteval bool validation_works() {
  if constexpr (std::same_as<std::remove_cvref_t<Range>, NoValidation>) {
    return true;
  } else {
    require_range<Range>();
    require_validation_step<Model>();
    return data::Batches<Range> && NamesValidationStep<Model>;
  }
}

}  // namespace detail

/// A loop that the program owns: the library is called, it does not call. A small handle; the engine stays in the
/// trainer, which must outlive it and not be moved meanwhile.
template <class Engine>
class Loop {
 public:
  Loop(Engine& engine, const Limits& limits) : engine_(&engine), limits_(&limits) {}

  /// Trains on one batch. The optimizer steps if it closes an accumulation window.
  template <class Batch>
  FULGURITE_INLINE auto step(const Batch& batch) {
    if constexpr (accepts<Batch>()) {
      [[maybe_unused]] auto gradients = engine_->backend().training_guard();
      if (!engine_->may_begin_own_batch()) [[unlikely]] enter_epoch();
      engine_->begin_own_batch();
      bool asked = false;
      auto result = or_drop([&]() FULGURITE_INLINE { return train(batch, false, asked); });
      engine_->end_own_batch();
      if (asked) [[unlikely]] rest();
      return result;
    }
  }

  /// The same for the last batch of an epoch: closes an open window, steps epoch schedules and ends the epoch.
  template <class Batch>
  auto step(const Batch& batch, Last) {
    if constexpr (accepts<Batch>()) {
      [[maybe_unused]] auto gradients = engine_->backend().training_guard();
      if (!engine_->may_begin_own_batch()) [[unlikely]] enter_epoch();
      engine_->begin_own_batch();
      bool asked = false;  // end_epoch rests
      auto result = or_drop([&]() FULGURITE_INLINE { return train(batch, true, asked); });
      engine_->end_own_batch();
      end_own_epoch("loop.step");
      return result;
    }
  }

  /// Ends the epoch after the batches that have come: closes an open window, steps epoch schedules. Does nothing if none
  /// has come.
  void end_epoch() {
    refuse_in_hook("loop.end_epoch");
    end_own_epoch("loop.end_epoch");
  }

  /// One pass over `validation` between two batches, in evaluation mode: no gradient, no open window and no random stream of
  /// the training is touched. Schedules that follow a metric by step see it before the next batch. With a `prefix`, which
  /// comes before the name of everything that is logged in it, `loop.validate(test, "test_")` gives metrics and columns of
  /// their own. Throws std::invalid_argument if the range is empty.
  template <class Validation>
  void validate(Validation&& validation, std::string_view prefix = {}) {
    if constexpr (detail::validation_works<Model, Validation>()) {
      const typename Engine::OwnCall call(*engine_, "a validation");
      or_forget([&] { run_validation(validation, prefix); });
      if (!engine_->fits()) engine_->rest();  // else the caller is a hook, and the training does not rest
    }
  }

  const Progress& progress() const { return engine_->progress(); }
  /// A hook has called `step.stop()`: the program should leave its loop.
  bool stop_requested() const { return engine_->stop_requested(); }

 private:
  template <class, class...>
  friend class Trainer;
  using Model = std::remove_reference_t<decltype(std::declval<Engine&>().model())>;

  /// An epoch of the program's own loop begins, or one that was loaded goes on in it. What holds for all of them is looked
  /// at before the first that begins.
  __attribute__((noinline, cold)) void enter_epoch() {
    refuse_in_hook("loop.step");
    if (!engine_->epoch_open() && engine_->begins_own_loop()) {
      engine_->require_trainable();
      if (const std::string idle = limits_->idle_in_own_loop(); !idle.empty()) {
        detail::notice("fulgurite: in a loop of the program's own " + idle + " nothing: the program ends the loop, by "
                       "loop.progress() say, and validates, by loop.validate(range)");
      }
      engine_->mention_modes();
    }
    const typename Engine::OwnCall call(*engine_, "loop.step");
    or_forget([&] { engine_->begin_own_epoch(); });
  }

  /// Throws std::logic_error if a fit or another call of the program's runs, so that this one comes from one of its hooks.
  void refuse_in_hook(const char* call) {
    if (engine_->fits()) {
      throw std::logic_error(std::string("fulgurite: ") + call +
                             " was called in a hook of a fit of the same trainer, which "
                             "still runs: call it when that one has returned. A program that trains batch by batch calls "
                             "loop.step instead of fit");
    }
    if (const char* running = engine_->own_call()) {
      throw std::logic_error(std::string("fulgurite: ") + call + " was called in a hook of " + running +
                             " of the same trainer, which still runs: call it when that one has returned");
    }
  }

  __attribute__((noinline, cold)) void rest() {
    const typename Engine::OwnCall call(*engine_, "loop.step");
    engine_->rest();
  }

  void end_own_epoch(const char* name) {
    const typename Engine::OwnCall call(*engine_, name);
    or_drop([&] { end_epoch(true); });
    engine_->rest();
  }

  /// Begins an epoch of `size` batches, if that is known.
  void begin_epoch(std::optional<std::int64_t> size) {
    engine_->epoch_size() = size;
    engine_->begin_epoch();
  }

  template <class Batch>
  FULGURITE_INLINE auto train(const Batch& batch, bool is_last, bool& asked) {
    const auto train_batch = [&]() FULGURITE_INLINE { return engine_->train_batch(batch, is_last, asked); };
    if constexpr (Engine::Backend::explains_errors) {
      try {
        return detail::in_context(*engine_, batch, Stage::training, engine_->progress().batch, train_batch);
      } catch (const NonFiniteGradient&) {
        engine_->stop_on_non_finite_gradient();
      }
    } else {
      return train_batch();
    }
  }

  /// What hooks have asked for in a call that fails is not done in a later one.
  template <class F>
  FULGURITE_INLINE auto or_forget(const F& act) {
    try {
      return act();
    } catch (...) {
      engine_->forget_errands();
      throw;
    }
  }
  /// The same, and a window on which a step has begun is dropped: the next batch begins another.
  template <class F>
  FULGURITE_INLINE auto or_drop(const F& act) {
    try {
      return act();
    } catch (...) {
      engine_->forget_errands();
      engine_->drop_stepped_windows();
      engine_->leave_own_batch();
      throw;
    }
  }

  template <class Validation>
  void run_validation(Validation& validation, std::string_view prefix = {}) {
    const BatchLimit& limit = limits_->batches.validation;
    detail::require_batches_to_validate(validation, limit);
    detail::validate(*engine_, validation, limit.of(data::batch_count(validation), "validation"), prefix);
  }

  /// What comes before an epoch's validation: the last window, epoch schedules.
  void close_epoch() { engine_->close_epoch(); }

  /// `completed` false: a limit cut the epoch short. No epoch schedule advances then, and an open window is dropped.
  void end_epoch(bool completed) {
    engine_->end_epoch(completed);
    engine_->epoch_size() = std::nullopt;
  }

  template <class Batch>
  static consteval bool accepts() {
    detail::require_batch<Engine, Model, Batch>();
    return detail::batch_works<Engine, Model, Batch>();
  }

  Engine* engine_;
  const Limits* limits_;
};

namespace detail {

template <class Holder>
struct model_of {
  using type = Holder;
};
// std::shared_ptr, and LibTorch's ModuleHolder: they own the model, and the trainer keeps them.
template <class Model>
struct model_of<std::shared_ptr<Model>> {
  using type = Model;
};
template <class Holder>
  requires requires { typename Holder::ContainedType; }
struct model_of<Holder> {
  using type = typename Holder::ContainedType;
};

template <class Holder>
using model_of_t = typename model_of<std::remove_cvref_t<Holder>>::type;

}  // namespace detail

/// Trains a model. `Policies` in any order, one a slot; see fulgurite/policies.hpp for all of them, hooks.hpp for what a
/// model may have. Errors in their use are compile errors; bad values throw std::invalid_argument here.
///
///     fg::Trainer<Classifier, fg::Accumulate<4>, fg::ClipNorm> trainer{model, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{20}};
///     fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::ClipNorm{.max = 0.5}};    // the same, deduced
///     trainer.fit(train_batches, validation_batches);
template <class Model, class... GivenPolicies>
class Trainer {
  static constexpr bool works = detail::trainer_works<Model, GivenPolicies...>();

  static consteval auto engine_type() {
    if constexpr (works) {
      return std::type_identity<typename detail::engine_of<Model, GivenPolicies...>::type>{};
    } else {
      return std::type_identity<detail::Nothing>{};
    }
  }
  using Engine = typename decltype(engine_type())::type;

  // A value is welcome if its type is among the policies, or if it is a limit (which changes no code).
  template <class Value, class... Values>
  static constexpr bool given_once = (std::same_as<Value, Values> + ...) == 1;
  template <class Value>
  static constexpr bool welcome = (std::same_as<Value, GivenPolicies> || ...) || Limit<Value>;

 public:
  /// `model`: the model itself (not owned), a std::shared_ptr to it or a torch::nn::ModuleHolder (shared).
  /// The model is moved to the trainer's device and precision, and its configure_optimizers is called.
  template <class Holder, class... Values>
    requires std::same_as<detail::model_of_t<Holder>, Model>
  explicit Trainer(Holder&& model, Values... values)
      : owner_(shared(model)), engine_(make_engine(model, values...)) {
    detail::require_trainer<Model, GivenPolicies...>();
    static_assert(!std::same_as<std::remove_cvref_t<Holder>, Model> || std::is_lvalue_reference_v<Holder>,
                  "fg::Trainer was given a temporary model, which would be gone before it is trained: give the model a "
                  "name. See docs/errors/temporary-model.md");
    static_assert(
        (welcome<Values> && ...),
        "fg::Trainer was given a value for a policy that is not among its template arguments: add the policy's "
        "type to fg::Trainer<Model, ...>, or let the arguments deduce it. See docs/errors/value-without-policy.md");
    if constexpr (detail::policies_work<GivenPolicies...>()) {  // else two policies for one slot have said so
      static_assert((given_once<Values, Values...> && ...),
                    "fg::Trainer was given two values of one type: keep one of them. "
                    "See docs/errors/two-policies-for-one-slot.md");
    }
    if constexpr (works) {
      (take_limit(detail::pick<GivenPolicies>(values...)), ...);
      (take_limit(values), ...);
      (take_rehearsal(detail::pick<GivenPolicies>(values...)), ...);
      (take_rehearsal(values), ...);
    }
  }

  /// Trains until a limit is reached. `train` is walked once an epoch; validation comes at each epoch's end, after epoch
  /// schedules, unless fg::ValidateEvery says otherwise. Returns at once if the limit was reached before; a raised limit
  /// goes on from there. After fg::load_checkpoint it goes on where the checkpoint was made. Throws std::invalid_argument if
  /// a range is empty, or if a limit does not fit it.
  template <class Train, class Validation = NoValidation>
  void fit(Train&& train, Validation&& validation = {}) {
    if constexpr (works) {
      constexpr bool ranges_work = range_works<Train>() && detail::validation_works<Model, Validation>();
      if constexpr (ranges_work) run_fit(train, validation);
    }
  }

  /// One pass over `validation` in evaluation mode; `metric(name)` has the means afterwards. With a `prefix`, which comes
  /// before the name of everything that is logged in it, another range than the fit's gives metrics and columns of its own:
  /// `trainer.validate(test, "test_")`. Throws std::invalid_argument if the range is empty.
  template <class Validation>
  void validate(Validation&& validation, std::string_view prefix = {}) {
    if constexpr (works) loop().validate(validation, prefix);
  }

  /// A loop that the caller owns.
  auto loop() { return Loop<Engine>(engine_, limits_); }

  const Progress& progress() const { return engine_.progress(); }
  const auto& policies() const { return engine_.policies(); }
  Model& model() { return engine_.model(); }
  /// The optimizer, and how many steps it has made. Of several, `trainer.optimizer(fg::optimizer_index<1>)`.
  template <class E = Engine>
  auto& optimizer()
    requires(E::optimizer_count == 1)
  {
    return engine_.running(optimizer_index<0>).optimizer();
  }
  template <std::size_t I>
  auto& optimizer(OptimizerIndex<I> index) {
    return engine_.running(index).optimizer();
  }
  template <std::size_t I = 0>
  std::int64_t step_count(OptimizerIndex<I> index = {}) const {
    return engine_.running(index).step_count();
  }
  /// The loss scale of `fg::Float16Mixed`: its value, its state to be saved. Other precisions have none.
  template <class E = Engine>
  auto& loss_scale()
    requires(E::scales_loss)
  {
    return engine_.loss_scale();
  }

  /// The tapes of `fg::Frozen`: how many there are, for how many kinds of batches (`kinds()`), and why a step could not be
  /// frozen
  /// (`refusal()`). Of several optimizers,
  /// `trainer.frozen(fg::optimizer_index<1>)`.
  template <std::size_t I = 0, class E = Engine>
  const auto& frozen(OptimizerIndex<I> index = {}) const
    requires(E::freezes)
  {
    return engine_.frozen(index);
  }

  /// A logged metric: the running epoch's value if it is logged on_epoch, else its last value. `*trainer.metric("val_loss")`
  /// is the number, or throws std::out_of_range that names the known ones if this is none of them; `.has_value()` and
  /// `.value_or(number)` don't. All of them by name: `metrics().values()`.
  LoggedValue metric(std::string_view name) const { return engine_.metrics().value(name); }
  const Metrics& metrics() const { return engine_.metrics(); }

  /// Keeps what the run was configured with, and gives it to the loggers:
  /// `trainer.log_hyperparameters({{"lr", 3e-3}, {"model", "mlp"}})`.
  /// Throws std::invalid_argument if two of them have one name.
  void log_hyperparameters(Hyperparameters parameters) {
    if constexpr (works) {
      detail::require_distinct_names(parameters);
      engine_.hyperparameters() = std::move(parameters);
      engine_.template tell_loggers<hooks::log_hyperparameters_hook>(std::as_const(engine_.hyperparameters()));
    }
  }
  const Hyperparameters& hyperparameters() const { return engine_.hyperparameters(); }

  /// Changes a limit: `trainer.set_limit(fg::MaxEpochs{40})`.
  template <Limit Value>
  void set_limit(const Value& value) {
    detail::require_sensible(value);
    limits_.set(value);
    if constexpr (works) engine_.logbook().set_interval(limits_.log_every);
  }

  /// A callback as it stands in the trainer: `trainer.callback<fg::EMAWeightAveraging>()`.
  template <class Callback>
  Callback& callback() {
    Callback* found = nullptr;
    boost::hana::for_each(engine_.callbacks(), [&](auto& each) {
      if constexpr (std::same_as<std::remove_cvref_t<decltype(each)>, Callback>) found = &each;
    });
    static_assert((std::same_as<Callback, GivenPolicies> || ...), "the trainer has no callback of this type");
    return *found;
  }

  friend std::ostream& operator<<(std::ostream& out, const Trainer& trainer) {
    return out << "Trainer{" << trainer.policies() << '}';
  }

 private:
  template <class Range>
  static consteval bool range_works() {
    detail::require_range<Range>();
    if constexpr (data::Batches<Range>) {
      using Batch = data::BatchOf<Range>;
      detail::require_batch<Engine, Model, Batch>();
      return detail::batch_works<Engine, Model, Batch>();
    } else {
      return false;
    }
  }

  /// An exception that leaves a fit leaves no epoch half open behind: the next fit begins it anew.
  struct AbandonOnException {
    Engine& engine;
    bool unless_resumed = false;  // no batch was trained: one that was loaded stays where it is
    int exceptions = std::uncaught_exceptions();
    ~AbandonOnException() {
      if (std::uncaught_exceptions() == exceptions) return;
      if (unless_resumed && engine.epoch_resumed()) {
        engine.stay_resumed();
      } else {
        engine.abandon_epoch();
      }
    }
  };

  template <class Train, class Validation>
  void run_fit(Train& train, Validation& validation) {
    if (engine_.fits()) {
      throw std::logic_error(
          "fulgurite: fit was called in a hook of a fit of the same trainer, which still runs: call it when "
          "that one has returned. To train longer from within a hook, raise the limit, "
          "trainer.set_limit(fg::MaxEpochs{...})");
    }
    if (const char* running = engine_.own_call()) {
      throw std::logic_error(std::string("fulgurite: fit was called in a hook of ") + running +
                             " of the same trainer, which still runs: call it when that one has returned, and the epoch of "
                             "the program's own loop has ended");
    }
    if (engine_.epoch_open() && !engine_.epoch_resumed()) {
      throw std::logic_error("fulgurite: fit was called in the middle of an epoch of the program's own loop: end it first, "
                             "loop.end_epoch()");
    }
    require_limits_to_fit(train, validation);
    [[maybe_unused]] const auto gradients = engine_.backend().training_guard();
    engine_.require_trainable();
    if (engine_.epoch_open()) require_same_size(size_of_epoch(train));
    const detail::FitEnd end(limits_, progress(), engine_.clock(), engine_.stop_requested());
    const bool resumed = engine_.begin_fit();
    [[maybe_unused]] const auto running = engine_.run_fit(end);
    if (!goes_on(end)) {
      detail::notice(nothing_to_train());
      if (!resumed) return;  // else the fit whose checkpoint was loaded has not ended: its last hooks are still to be called
    }

    if (goes_on(end)) mention_schedule_lengths(train);
    if constexpr (Engine::has_logger && data::SizedBatches<Train>) {
      if (goes_on(end) && !limits_.is_rehearsal) engine_.logbook().mention_short_epochs(engine_, *train_limit(train));
    }
    AbandonOnException abandon{engine_};
    detail::FitRun run(engine_, train, validates<Validation>, limits_);
    engine_.template notify<hooks::on_fit_start_hook>(run);
    if constexpr (validates<Validation>) check_sanity(validation);
    engine_.rest();
    engine_.template notify<hooks::on_train_start_hook>(run);
    engine_.rest();
    if (goes_on(end)) engine_.mention_modes();
    while (goes_on(end)) {
      if (!run_epoch(train, validation, end, abandon)) break;
    }
    engine_.template notify<hooks::on_train_end_hook>(run);
    engine_.rest();
    engine_.template notify<hooks::on_fit_end_hook>(run);
    engine_.rest();
    engine_.template notify<hooks::teardown_hook>();
  }

  /// Why a fit has nothing to train, and what would give it something.
  std::string nothing_to_train() const {
    const auto limit = [](const char* name, std::int64_t count) {
      return std::string(name) + "{" + std::to_string(count) + "}";
    };
    std::string why = "fulgurite: fit trains nothing, since ";
    const auto epochs = limits_.epochs();
    if (limits_.is_rehearsal && progress().epoch >= 1) {
      return why + "an epoch has ended, and fg::FastDevRun takes the first alone: make a new trainer to rehearse again";
    }
    if (epochs && epochs <= progress().epoch) {
      return why + limit("fg::MaxEpochs", *epochs) +
             " has been reached: to train longer, trainer.set_limit(fg::MaxEpochs{...})";
    }
    if (limits_.max_steps && limits_.max_steps <= progress().global_step) {
      return why + limit("fg::MaxSteps", *limits_.max_steps) +
             " has been reached: to train longer, trainer.set_limit(fg::MaxSteps{...})";
    }
    if (engine_.stop_requested()) {
      return why + "the training that was loaded has been asked to stop: to train longer all the same, call fit once more";
    }
    return why + "the time of fg::MaxTime has passed: to train longer, trainer.set_limit(fg::MaxTime{...})";
  }

  /// An epoch that a checkpoint left open is ended in any case.
  bool goes_on(const detail::FitEnd& end) const { return engine_.epoch_open() || !end.after_epoch(); }

  /// One epoch with its validations, on the same loop that `loop()` hands out. False if the limits leave nothing to train.
  template <class Train, class Validation>
  bool run_epoch(Train& train, Validation& validation, const detail::FitEnd& end, AbandonOnException& abandon) {
    const auto size = size_of_epoch(train);
    const auto limit = train_limit(train);
    if (limit == 0 && data::batch_count(train) != 0) {
      detail::notice("fulgurite: fit trains nothing, since fg::LimitBatches takes no batch of the training range");
      return false;
    }

    EpochValidation due{.wanted = false};
    if constexpr (validates<Validation>) due = limits_.validation.in(progress().epoch, size);
    auto steps = loop();
    const bool resumed = engine_.epoch_open();
    const bool trained = engine_.epoch_size() == progress().batch;  // one that was loaded, to its last batch
    steps.begin_epoch(size);
    // After the batch that was trained last. (Files of before say nothing of a validation that a request to stop brought.)
    bool validated = resumed && (engine_.validated() || due.due_after(progress().batch, progress().batches));
    bool completed = trained || !(resumed ? end.after_epoch() : end.stops());  // on_train_epoch_start may have asked to stop
    const auto train_one = [&](const auto& batch, bool is_last) FULGURITE_INLINE {
      bool asked = false;
      const auto result = steps.train(batch, is_last, asked);
      asked |= engine_.has_errands();  // those of a validation that a hook made, too
      if constexpr (validates<Validation>) {
        validated = !result.ends_epoch && due.due_after(progress().batch, progress().batches);
        if (validated) validate_in_fit(steps, validation);
      }
      if (asked || validated) [[unlikely]] {
        // At an epoch's end after all that belongs to it; but before a validation that only a request to stop brings.
        const bool is_extra = due.wanted && !due.due_at_end() && !validated && end.stops();
        if (is_last && is_extra) engine_.epoch_size() = progress().batch;
        if (!(is_last || result.ends_epoch) || is_extra) engine_.rest();
      }
      const bool go_on = !result.ends_epoch && !end.after_batch();
      completed = is_last || result.ends_epoch || go_on;
      return go_on;
    };
    const data::Visited visited{progress().batch, [&] { return engine_.backend().random_guard(); }};
    if (completed && !trained && data::for_each_batch(train, limit.value_or(data::no_limit), train_one, visited) == 0) {
      abandon.unless_resumed = true;
      if (resumed) require_same_size(progress().batch);
      throw std::invalid_argument("fulgurite: the training range gave no batch in epoch " +
                                  std::to_string(progress().epoch) +
                                  ": give fit a range that holds at least one, and that can be walked once an epoch (a "
                                  "single-pass range is spent after the first: use fg::MaxEpochs{1})");
    }
    if (completed) steps.close_epoch();
    if constexpr (validates<Validation>) {
      // A request to stop is still followed by a validation; a limit that cuts the epoch short is not.
      const bool wanted = (completed && due.due_at_end()) || (due.wanted && end.stops());
      if (wanted && !validated) validate_in_fit(steps, validation);
      if (!completed) engine_.rest();  // what that validation asked for, while the epoch can still go on
    }
    steps.end_epoch(completed);
    engine_.rest();
    return true;
  }

  /// What can be said before the first batch of schedules that are made for another number of steps.
  template <class Train>
  void mention_schedule_lengths(Train& train) {
    if constexpr (data::SizedBatches<Train>) {
      if (engine_.epoch_open() || limits_.is_rehearsal) return;  // the rest of an epoch, or a fit that is not the training
      detail::FitPlan plan{
          .first_epoch = progress().epoch, .end_epoch = limits_.max_epochs, .batches = *train_limit(train)};
      if (limits_.max_steps) plan.steps = *limits_.max_steps - progress().global_step;
      detail::mention_schedule_lengths(engine_, plan);
    }
  }

  template <class Steps, class Validation>
  void validate_in_fit(Steps& steps, Validation& validation) {
    steps.run_validation(validation);
    engine_.note_validation();
  }

  /// The number of batches in the epoch that begins or goes on, if it is known. Its order is drawn here; one that was drawn
  /// before the checkpoint has left its trace in the random streams already.
  template <class Train>
  std::optional<std::int64_t> size_of_epoch(Train& train) {
    if (engine_.epoch_open()) {
      [[maybe_unused]] const auto held = engine_.backend().random_guard();
      data::begin_epoch(train, progress().epoch);
    } else {
      data::begin_epoch(train, progress().epoch);
    }
    return data::SizedBatches<Train> ? train_limit(train) : std::nullopt;
  }

  /// Throws std::invalid_argument if the range of a resumed epoch is not as long as the one that was interrupted.
  void require_same_size(std::optional<std::int64_t> size) {
    const auto& before = engine_.epoch_size();
    const std::int64_t batch = progress().batch;
    const bool fits = size ? (before ? *before == *size : batch < *size) : (!before || *before == batch);
    if (fits) return;
    throw std::invalid_argument("fulgurite: the checkpoint was saved after batch " + std::to_string(batch) +
                                " of " + (before ? std::to_string(*before) : "an unknown number") +
                                ", and the training range has " + (size ? std::to_string(*size) : "an unknown number") +
                                ": give fit the range and the limits with which the checkpoint was saved");
  }

  /// A validation of a few batches before anything is trained, which leaves no metrics, and of which loggers are told
  /// nothing.
  template <class Validation>
  void check_sanity(Validation& validation) {
    if (progress().batches > 0) return;
    const detail::KeptMetrics kept{engine_.metrics()};
    const auto limit = validation_limit(validation);
    detail::walk_validation(engine_, validation, std::min(limits_.sanity_batches, limit.value_or(limits_.sanity_batches)),
                            [] {});
  }

  /// Throws std::invalid_argument for limits that the ranges cannot meet, before anything is trained.
  template <class Train, class Validation>
  void require_limits_to_fit(Train& train, Validation& validation) {
    const auto limit = train_limit(train);
    if (data::EndlessBatches<Train> && !limit && !limits_.max_steps && !limits_.max_time) {
      throw std::invalid_argument("fulgurite: the training range never ends, and no limit ends the fit: give it "
                                  "fg::MaxSteps, fg::MaxTime or fg::LimitBatches{.train = fg::Batches{...}}");
    }
    if constexpr (validates<Validation>) {
      detail::require_batches_to_validate(validation, limits_.batches.validation);
      const auto times = limits_.validation.in(0, data::SizedBatches<Train> ? limit : std::nullopt);
      const auto taken = validation_limit(validation);
      if (data::EndlessBatches<Validation> && !taken) {
        throw std::invalid_argument("fulgurite: the validation range never ends: limit it by "
                                    "fg::LimitBatches{.validation = fg::Batches{...}}");
      }
      if constexpr (std::same_as<Train, Validation>) {
        const bool walked_at_once = std::addressof(train) == std::addressof(validation) && times.every > 0;
        if (walked_at_once && (!data::MultiPassBatches<Train> || data::begin_epoch(train, 0))) {
          throw std::invalid_argument("fulgurite: fit was given one range for training and validation, and "
                                      "fg::ValidateEvery comes while it is walked: give validation a range of its own");
        }
      }
    }
  }

  template <class Validation>
  static constexpr bool validates = !std::same_as<Validation, NoValidation>;

  template <class Train>
  std::optional<std::int64_t> train_limit(Train& train) const {
    return limits_.batches.train.of(data::batch_count(train), "training");
  }
  template <class Validation>
  std::optional<std::int64_t> validation_limit(Validation& validation) const {
    return limits_.batches.validation.of(data::batch_count(validation), "validation");
  }

  template <class Holder>
  static std::shared_ptr<Model> shared(Holder& holder) {
    if constexpr (requires { { holder.ptr() } -> std::convertible_to<std::shared_ptr<Model>>; }) {
      return existing(holder.ptr());
    } else if constexpr (std::convertible_to<Holder&, std::shared_ptr<Model>>) {
      return existing(holder);
    } else {
      return nullptr;
    }
  }

  static std::shared_ptr<Model> existing(std::shared_ptr<Model> model) {
    if (!model) throw std::invalid_argument("fulgurite: fg::Trainer was given an empty pointer instead of a model");
    return model;
  }

  // Last, since it overrides the others.
  template <class Value>
  void take_rehearsal(const Value& value) {
    if constexpr (std::same_as<std::remove_cvref_t<decltype(value_of(value))>, FastDevRun>) set_limit(value_of(value));
  }

  template <class Value>
  void take_limit(const Value& value) {
    if constexpr (Limit<std::remove_cvref_t<decltype(value_of(value))>>) set_limit(value_of(value));
  }

  template <class Holder, class... Values>
  Engine make_engine(Holder& holder, const Values&... values) {
    if constexpr (works) {
      Model* model = owner_.get();
      if constexpr (std::same_as<std::remove_cvref_t<Holder>, Model>) model = &holder;
      (require_value(values), ...);
      return detail::hana::unpack(PolicySet<GivenPolicies...>::callbacks, [&](auto... callback) {
        return Engine(*model, detail::policies_of<GivenPolicies...>(values...),
                      boost::hana::make_tuple(detail::pick<typename decltype(callback)::type>(values...)...));
      });
    } else {
      return Engine{};
    }
  }

  template <class Value>
  static void require_value(const Value& value) {
    if constexpr (Policy<Value>) detail::require_sensible(value);
  }

  friend detail::EngineAccess;

  std::shared_ptr<Model> owner_;
  Limits limits_;
  Engine engine_;
};

template <class Holder, class... Policies>
Trainer(Holder&&, Policies...) -> Trainer<detail::model_of_t<Holder>, Policies...>;

}  // namespace fulgurite
