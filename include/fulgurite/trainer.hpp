// SPDX-License-Identifier: MIT
// Read this first. fg::Trainer<Model, Policies...> composes training from static policies.
//
//   trainer.fit(train, validation)              this file
//     for each epoch                              Trainer::fit
//       for each batch                            data/batches.hpp, for_each_batch
//         loop.step(batch)                        loop/engine.hpp, Engine::train_batch
//           on_train_batch_start                  hooks/batch.hpp
//           optimizer_step { optimizer.step {     loop/engine.hpp, Engine::update
//             closure {                           loop/closure.hpp
//               training_step                       the model's
//               zero_grad, if a window begins       loop/window.hpp
//               backward                            loop/backend.hpp, tensors/backend.hpp
//             }
//             on_before_optimizer_step, clipping  policies/clipping.hpp, optim/gradients.hpp
//           } }                                   optim/: the update itself
//           schedules                             loop/configured_optimizer.hpp, schedulers/
//           on_train_batch_end
//           loggers, if it is their turn          loop/logbook.hpp
//       epoch schedules, validation, on_train_epoch_end, plateau schedules
//
// Between the first batch of a window and its last, only the closure runs. What is checked at compile time, and with
// which sentence, stands in loop/checks.hpp and policies/policy_set.hpp.
#pragma once

#include <boost/hana/for_each.hpp>

#include <chrono>
#include <concepts>
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

#include "data/batches.hpp"
#include "detail/inline.hpp"
#include "detail/nothing.hpp"
#include "hooks/logging.hpp"
#include "logging/hyperparameters.hpp"
#include "loop/checks.hpp"
#include "loop/engine.hpp"
#include "loop/fit_run.hpp"
#include "loop/passes.hpp"
#include "policies/limits.hpp"
#include "policies/policy_set.hpp"

namespace fulgurite {

/// Says that a batch is the last one of its epoch: `loop.step(batch, fg::last)`.
struct Last {};
inline constexpr Last last{};

/// The validation range of a fit without validation.
struct NoValidation {};

/// A loop that the program owns: the library is called, it does not call. A small handle; the engine stays in the
/// trainer, which must outlive it and not be moved meanwhile.
template <class Engine>
class Loop {
 public:
  explicit Loop(Engine& engine) : engine_(&engine) {}

  /// Trains on one batch. The optimizer steps if it closes an accumulation window.
  template <class Batch>
  FULGURITE_INLINE auto step(const Batch& batch) {
    if constexpr (accepts<Batch>()) return train(batch, false);
  }

  /// The same for the last batch of an epoch: closes an open window, steps epoch schedules and ends the epoch.
  template <class Batch>
  auto step(const Batch& batch, Last) {
    if constexpr (accepts<Batch>()) {
      auto result = train(batch, true);
      end_epoch();
      return result;
    }
  }

  /// Ends the epoch after the batches that have come: closes an open window, steps epoch schedules. Does nothing if none
  /// has come.
  void end_epoch() { engine_->end_epoch(true); }

  const Progress& progress() const { return engine_->progress(); }
  /// A hook has called `step.stop()`: the program should leave its loop.
  bool stop_requested() const { return engine_->stop_requested(); }

 private:
  template <class, class...>
  friend class Trainer;

  /// Begins an epoch of so many batches, if that is known.
  void begin_epoch(std::optional<std::int64_t> size) {
    engine_->epoch_size() = size;
    engine_->begin_epoch();
  }

  template <class Batch>
  FULGURITE_INLINE auto train(const Batch& batch, bool is_last) {
    return engine_->train_batch(batch, is_last);
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
    using Model = std::remove_reference_t<decltype(std::declval<Engine&>().model())>;
    detail::require_batch<Engine, Model, Batch>();
    return detail::batch_works<Engine, Model, Batch>();
  }

  Engine* engine_;
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
    static_assert((welcome<Values> && ...),
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
      engine_.logbook().set_interval(limits_.log_every);
    }
  }

  /// Trains until a limit is reached. `train` and `validation` are walked once an epoch; validation comes at each epoch's
  /// end, after epoch schedules. Returns at once if the limit was reached before; a raised limit goes on from there.
  /// Throws std::invalid_argument if the training range is empty.
  template <class Train, class Validation = NoValidation>
  void fit(Train&& train, Validation&& validation = {}) {
    if constexpr (works) {
      constexpr bool ranges_work = range_works<Train>() && validation_works<Validation>();
      if constexpr (ranges_work) run_fit(train, validation);
    }
  }

  /// One pass over `validation` in evaluation mode; `metric(name)` has the means afterwards.
  template <class Validation>
  void validate(Validation&& validation) {
    if constexpr (works && validation_works<Validation>()) {
      validate_range(validation, validation_limit(validation));
    }
  }

  /// A loop that the caller owns.
  auto loop() { return Loop<Engine>(engine_); }

  const Progress& progress() const { return engine_.progress(); }
  const auto& policies() const { return engine_.policies(); }
  Model& model() { return engine_.model(); }
  auto& optimizer() { return engine_.optimizer(); }
  /// The loss scale of `fg::Float16Mixed`: its value, its state to be saved. Other precisions have none.
  template <class E = Engine>
  auto& loss_scale()
    requires(E::scales_loss)
  {
    return engine_.loss_scale();
  }

  /// A logged metric: the running epoch's value if it is logged on_epoch, else its last value; nothing if unknown. All of
  /// them by name: `metrics().values()`.
  std::optional<double> metric(std::string_view name) const { return engine_.metrics().value(name); }
  const Metrics& metrics() const { return engine_.metrics(); }

  /// Keeps what the run was configured with, and gives it to the loggers:
  /// `trainer.log_hyperparameters({{"lr", 3e-3}, {"model", "mlp"}})`.
  void log_hyperparameters(Hyperparameters parameters) {
    hyperparameters_ = std::move(parameters);
    if constexpr (works) engine_.template tell_loggers<hooks::log_hyperparameters_hook>(std::as_const(hyperparameters_));
  }
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }

  /// Changes a limit: `trainer.set_limit(fg::MaxEpochs{40})`.
  template <Limit Value>
  void set_limit(const Value& value) {
    detail::require_sensible(value);
    limits_.set(value);
    if constexpr (works) engine_.logbook().set_interval(limits_.log_every);
  }

  /// A callback as it stands in the trainer: `trainer.callback<fg::ExponentialAverage>()`.
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

  template <class Range>
  static consteval bool validation_works() {
    if constexpr (std::same_as<std::remove_cvref_t<Range>, NoValidation>) {
      return true;
    } else {
      detail::require_range<Range>();
      detail::require_validation_step<Model>();
      return data::Batches<Range> && detail::NamesValidationStep<Model>;
    }
  }

  template <class Train, class Validation>
  void run_fit(Train& train, Validation& validation) {
    using Clock = std::chrono::steady_clock;
    const auto started = Clock::now();
    const std::optional<std::int64_t> epochs = limits_.epochs();
    const auto finished = [&] {
      return (limits_.max_steps && progress().global_step >= *limits_.max_steps) || engine_.stop_requested() ||
             (limits_.max_time && Clock::now() - started >= *limits_.max_time);
    };
    const auto more_epochs = [&] { return !finished() && !(epochs && progress().epoch >= *epochs); };
    if (engine_.epoch_open()) {
      throw std::logic_error("fulgurite: fit was called in the middle of an epoch of the program's own loop: end it first, "
                             "loop.end_epoch()");
    }
    train_limit(train);  // both throw before anything is trained
    if constexpr (validates<Validation>) validation_limit(validation);
    engine_.stop_requested() = false;
    if (!more_epochs()) return;

    const AbandonOnException abandon{engine_};
    const detail::FitRun run(engine_, train, limits_);
    engine_.template notify<hooks::on_fit_start_hook>(run);
    engine_.template notify<hooks::on_train_start_hook>(run);
    while (more_epochs()) {
      if (!run_epoch(train, validation, finished)) break;
    }
    engine_.template notify<hooks::on_train_end_hook>(run);
    engine_.template notify<hooks::on_fit_end_hook>(run);
    engine_.template notify<hooks::teardown_hook>();
  }

  /// One epoch with its validation, on the same loop that `loop()` hands out. False if the limits leave nothing to train.
  template <class Train, class Validation, class Finished>
  bool run_epoch(Train& train, Validation& validation, const Finished& finished) {
    data::begin_epoch(train, progress().epoch);
    const auto limit = train_limit(train);
    if (limit == 0 && data::batch_count(train) != 0) return false;

    auto steps = loop();
    steps.begin_epoch(data::SizedBatches<Train> ? limit : std::nullopt);
    bool completed = true;
    const auto visited = data::for_each_batch(
        train, limit.value_or(data::no_limit), [&](const auto& batch, bool is_last) FULGURITE_INLINE {
          const auto result = steps.train(batch, is_last);
          const bool go_on = !result.ends_epoch && !finished();
          completed = is_last || result.ends_epoch || go_on;
          return go_on;
        });
    if (visited == 0) {
      throw std::invalid_argument("fulgurite: the training range gave no batch in epoch " + std::to_string(progress().epoch) +
                                  ": give fit a range that holds at least one, and that can be walked once an epoch (a "
                                  "single-pass range is spent after the first: use fg::MaxEpochs{1})");
    }
    if (completed) steps.close_epoch();
    if constexpr (validates<Validation>) {
      // A hook that asks to stop still sees a validation; a limit that cuts the epoch short does not.
      if (completed || engine_.stop_requested()) validate_range(validation, validation_limit(validation));
    }
    steps.end_epoch(completed);
    return true;
  }

  template <class Validation>
  void validate_range(Validation& validation, std::optional<std::int64_t> limit) {
    if (limit == 0) return;
    data::begin_epoch(validation, 0);  // validation sees one order, whatever the epoch
    detail::validate(engine_, validation, limit.value_or(data::no_limit));
  }

  template <class Validation>
  static constexpr bool validates = !std::same_as<Validation, NoValidation>;

  template <class Train>
  std::optional<std::int64_t> train_limit(const Train& train) const {
    return limits_.batches.train.of(data::batch_count(train), "training");
  }
  template <class Validation>
  std::optional<std::int64_t> validation_limit(const Validation& validation) const {
    return limits_.batches.validation.of(data::batch_count(validation), "validation");
  }

  /// An exception that leaves a fit leaves no epoch half open behind: the next fit begins it anew.
  struct AbandonOnException {
    Engine& engine;
    int exceptions = std::uncaught_exceptions();
    ~AbandonOnException() {
      if (std::uncaught_exceptions() > exceptions) engine.abandon_epoch();
    }
  };

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

  template <class Value>
  void take_limit(const Value& value) {
    if constexpr (Limit<std::remove_cvref_t<decltype(value_of(value))>>) limits_.set(value_of(value));
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

  std::shared_ptr<Model> owner_;
  Limits limits_;
  Hyperparameters hyperparameters_;
  Engine engine_;
};

template <class Holder, class... Policies>
Trainer(Holder&&, Policies...) -> Trainer<detail::model_of_t<Holder>, Policies...>;

}  // namespace fulgurite
