// SPDX-License-Identifier: MIT
// The two doors. Facts are constants; the sentences stand alone in functions that nothing depends on, so that a misuse
// prints one error. Behind the doors nothing is checked again.
#pragma once

#include <concepts>
#include <optional>
#include <type_traits>
#include <utility>

#include <fulgurite/data/batches.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/policies/policy_set.hpp>
#include "backend.hpp"
#include "configured_optimizer.hpp"
#include "engine.hpp"
#include "loss.hpp"

namespace fulgurite::detail {

template <class Model>
concept Inheritable = std::is_class_v<Model> && !std::is_final_v<Model>;
template <class Model>
concept NamesTrainingStep = hooks::present<hooks::training_step_hook, Model>;
template <class Model>
concept NamesConfigureOptimizers = hooks::present<hooks::configure_optimizers_hook, Model>;
template <class Model>
concept ConfiguresWithoutArguments = requires(Model& model) { model.configure_optimizers(); };

template <class Returned>
concept OptimizerConfiguration = is_configured<Returned> || Optimizer<adapted_optimizer<Returned>>;

template <class Host, class... Hooks>
inline constexpr bool has_one_of = (hooks::present<Hooks, Host> || ...);
template <class C>
concept CallbackWithHook =
    has_one_of<C, hooks::setup_hook, hooks::on_fit_start_hook, hooks::on_train_start_hook, hooks::on_train_end_hook,
               hooks::on_fit_end_hook, hooks::teardown_hook, hooks::on_train_epoch_start_hook,
               hooks::on_train_epoch_end_hook, hooks::on_train_batch_start_hook, hooks::on_train_batch_end_hook,
               hooks::on_before_zero_grad_hook, hooks::on_before_backward_hook, hooks::on_after_backward_hook,
               hooks::on_before_optimizer_step_hook, hooks::on_validation_start_hook, hooks::validation_scope_hook,
               hooks::on_validation_epoch_start_hook, hooks::on_validation_batch_start_hook,
               hooks::on_validation_batch_end_hook, hooks::on_validation_epoch_end_hook, hooks::on_validation_end_hook, hooks::log_metrics_hook>;

template <class... Given>
inline constexpr bool callbacks_have_hooks = decltype(hana::unpack(PolicySet<Given...>::callbacks, [](auto... callback) {
  return hana::bool_c<(CallbackWithHook<typename decltype(callback)::type> && ...)>;
}))::value;

template <class Model>
using returned_configuration = decltype(std::declval<Model&>().configure_optimizers());

template <class Model>
consteval bool configuration_works() {
  if constexpr (ConfiguresWithoutArguments<Model>) {
    return OptimizerConfiguration<returned_configuration<Model>>;
  } else {
    return false;
  }
}

template <class Model>
consteval bool model_works() {
  if constexpr (!Inheritable<Model>) {
    return false;
  } else if constexpr (!NamesTrainingStep<Model> || !NamesConfigureOptimizers<Model>) {
    return false;
  } else {
    return configuration_works<Model>();
  }
}

// What the optimizer must offer to the policies.
template <class E>
concept ClipsByPolicy =
    std::same_as<std::remove_cvref_t<decltype(std::declval<E&>().policies().clipping())>, NoClipping> ||
    (HasGradients<typename E::OptimizerType> &&
     requires(E& engine, decltype(engine.optimizer().gradients()) gradients) {
       requires ClippingPolicy<std::remove_cvref_t<decltype(engine.policies().clipping())>, decltype(gradients)>;
     });
template <class E>
concept AccumulatesByPolicy = !E::accumulates || ScalesGradients<typename E::OptimizerType>;
template <class E>
concept ClosureFitsWindow = !(E::accumulates && NeedsClosure<typename E::OptimizerType>);
template <class E>
concept ClosureFitsNonFinite =
    !(NeedsClosure<typename E::OptimizerType> &&
      std::same_as<std::remove_cvref_t<decltype(std::declval<E&>().policies().non_finite())>, SkipNonFinite>);
template <class E>
concept PrecisionOfBackend = E::Backend::template supports_precision<typename E::Precision>;

template <class E>
concept LossScaleFits = !E::scales_loss || !PrecisionOfBackend<E> || TakesLossScale<typename E::OptimizerType>;

template <class E>
inline constexpr bool engine_works =
    ClipsByPolicy<E> && AccumulatesByPolicy<E> && ClosureFitsWindow<E> && ClosureFitsNonFinite<E> && PrecisionOfBackend<E> && LossScaleFits<E>;

template <class Model, class Policies>
struct EngineWith {
  template <class... Callback>
  constexpr auto operator()(Callback...) const {
    return hana::type_c<Engine<Model, Policies, typename Callback::type...>>;
  }
};

template <class Model, class... Given>
struct engine_of {
  using type = type_in<decltype(hana::unpack(PolicySet<Given...>::callbacks, EngineWith<Model, policies_of<Given...>>{}))>;
};

/// The first door's facts.
template <class Model, class... Given>
consteval bool trainer_works() {
  if constexpr (!policies_work<Given...>()) {
    return false;
  } else if constexpr (!callbacks_have_hooks<Given...> || !model_works<Model>()) {
    return false;
  } else {
    return engine_works<typename engine_of<Model, Given...>::type>;
  }
}

template <class C>
concept CallbackWithoutModelHook =
    !has_one_of<C, hooks::training_step_hook, hooks::validation_step_hook, hooks::configure_optimizers_hook,
                hooks::optimizer_step_hook, hooks::optimizer_zero_grad_hook, hooks::configure_gradient_clipping_hook,
                hooks::lr_scheduler_step_hook>;

template <class C>
consteval void require_callback() {
  hooks::require_well_spelt_hooks<C>();
  static_assert(CallbackWithoutModelHook<C>,
                "fg::Trainer was given a callback with a hook that only a model has (training_step, optimizer_step, …): "
                "it would never be called. Move it into the model. See docs/errors/callback-without-hook.md");
  static_assert(CallbackWithHook<C>,
                "fg::Trainer was given a callback without any hook: give it one of the members in fulgurite/hooks.hpp. "
                "See docs/errors/callback-without-hook.md");
}

template <class E>
consteval void require_engine() {
  static_assert(ClipsByPolicy<E>,
                "the clipping policy cannot clip this optimizer: it needs optimizer.gradients() with what the policy "
                "calls (clip_norm, clip_value). See docs/errors/clipping-policy.md");
  static_assert(AccumulatesByPolicy<E>,
                "accumulation needs an optimizer whose gradients can be scaled: optimizer.gradients().scale(factor). "
                "See docs/errors/accumulate.md");
  static_assert(ClosureFitsWindow<E>,
                "an optimizer that re-evaluates its closure (LBFGS) cannot accumulate: its evaluations would add up. "
                "Remove the accumulation policy, or use larger batches. See docs/errors/accumulate.md");
  static_assert(ClosureFitsNonFinite<E>,
                "an optimizer that re-evaluates its closure (LBFGS) cannot skip a batch: use fg::StopOnNonFinite or "
                "fg::IgnoreNonFinite. See docs/errors/training-step-result.md");
  static_assert(PrecisionOfBackend<E>,
                "a precision policy needs tensors, and this optimizer has none: remove the policy, or include "
                "<fulgurite/fulgurite.hpp> and use an optimizer on tensors. See docs/errors/precision.md");
  static_assert(LossScaleFits<E>,
                "a precision with a loss scale (fg::Float16Mixed) needs an optimizer that can skip an overflowed step, and "
                "one that re-evaluates its closure (LBFGS) cannot: use fg::Bfloat16Mixed, or another optimizer. "
                "See docs/errors/loss-scale.md");
}

template <class Model>
consteval void require_model() {
  static_assert(Inheritable<Model>,
                "the model must be a class that is not final: its hooks could not be checked by name. Remove `final`. "
                "See docs/errors/final-model.md");
  if constexpr (Inheritable<Model>) {
    hooks::require_well_spelt_hooks<Model>();
    static_assert(NamesTrainingStep<Model> || hooks::misspells_training_step<Model>,
                  "the model has no training_step: write `auto training_step(const Batch& batch, auto& step)` that returns "
                  "the loss. See docs/errors/no-training-step.md");
    static_assert(NamesConfigureOptimizers<Model> || hooks::misspells_configure_optimizers<Model>,
                  "the model has no configure_optimizers: write `auto configure_optimizers()` that returns "
                  "fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-3})). See docs/errors/no-configure-optimizers.md");
    if constexpr (NamesConfigureOptimizers<Model>) {
      static_assert(ConfiguresWithoutArguments<Model>,
                    "the model's configure_optimizers has the wrong shape: write a public `auto configure_optimizers()`. "
                    "See docs/errors/hook-shape.md");
      if constexpr (ConfiguresWithoutArguments<Model>) {
        static_assert(OptimizerConfiguration<returned_configuration<Model>>,
                      "configure_optimizers must return an optimizer or fg::optimizer(...): this has no step() and "
                      "zero_grad(). See docs/errors/configure-optimizers-result.md");
      }
    }
  }
}

/// The first door's sentences.
template <class Model, class... Given>
consteval void require_trainer() {
  require_policies<Given...>();
  require_model<Model>();
  if constexpr (policies_work<Given...>()) {
    hana::unpack(PolicySet<Given...>::callbacks,
                 [](auto... callback) { (require_callback<typename decltype(callback)::type>(), ...); });
    if constexpr (callbacks_have_hooks<Given...> && model_works<Model>()) {
      require_engine<typename engine_of<Model, Given...>::type>();
    }
  }
}

// --- the second door: the batch type is known ------------------------------------------------------------------------

template <class E, class Model, class Batch>
concept TrainsOn = requires(Model& model, const typename E::template TakenBatch<Batch>& batch, typename E::Step& step) {
  model.training_step(batch, step);
};

template <class Returned, class Backend>
concept LossResult = Backend::template accepts_loss<typename loss_of<std::remove_cvref_t<Returned>>::type>;

template <class E, class Returned>
concept LossFitsClosure = !NeedsClosure<typename E::OptimizerType> || !(loss_of<std::remove_cvref_t<Returned>>::optional ||
                                                                        loss_of<std::remove_cvref_t<Returned>>::weighted);
template <class E, class Returned>
concept WeightFitsOptimizer =
    !loss_of<std::remove_cvref_t<Returned>>::weighted || ScalesGradients<typename E::OptimizerType>;

template <class E, class Model, class Batch>
consteval bool batch_works() {
  if constexpr (!TrainsOn<E, Model, Batch>) {
    return false;
  } else if constexpr (E::manual) {
    return true;
  } else {
    using Returned = typename E::template Returned<Batch>;
    return LossResult<Returned, typename E::Backend> &&
           LossFitsClosure<E, Returned> && WeightFitsOptimizer<E, Returned>;
  }
}

template <class E, class Model, class Batch>
consteval void require_batch() {
  static_assert(TrainsOn<E, Model, Batch>,
                "training_step cannot take these batches: write a public `auto training_step(const Batch& batch, auto& step)` "
                "for the type that the range gives, or give a range of what training_step takes. "
                "See docs/errors/batch-type.md");
  if constexpr (TrainsOn<E, Model, Batch> && !E::manual) {
    using Returned = typename E::template Returned<Batch>;
    static_assert(!std::is_void_v<Returned>,
                  "training_step returns nothing, but automatic optimization needs the loss: return it, or add "
                  "fg::ManualOptimization to the trainer's policies. See docs/errors/training-step-result.md");
    if constexpr (!std::is_void_v<Returned>) {
      static_assert(LossResult<Returned, typename E::Backend>,
                    "training_step must return a loss: a tensor (for plain types: something with value() and "
                    "backward(scale)), fg::WeightedLoss of one, or std::optional of either. "
                    "See docs/errors/training-step-result.md");
      static_assert(LossFitsClosure<E, Returned>,
                    "an optimizer that re-evaluates its closure (LBFGS) cannot skip a batch or weigh it: training_step must "
                    "return the loss itself, neither std::optional nor fg::WeightedLoss. "
                    "See docs/errors/training-step-result.md");
      static_assert(WeightFitsOptimizer<E, Returned>,
                    "a weighted loss needs an optimizer whose gradients can be scaled: "
                    "optimizer.gradients().scale(factor). See docs/errors/training-step-result.md");
    }
  }
}

template <class Range>
consteval void require_range() {
  static_assert(data::Batches<Range>,
                "fit takes ranges of batches: something that a range-based for can walk (a loader, a vector, a view; of a "
                "std::unique_ptr to a torch::data loader pass `*loader`). See docs/errors/range.md");
}

template <class Model>
concept NamesValidationStep = hooks::present<hooks::validation_step_hook, Model>;

template <class Model>
consteval void require_validation_step() {
  static_assert(NamesValidationStep<Model>,
                "fit was given a validation range, but the model has no validation_step: write "
                "`void validation_step(const Batch& batch, auto& step)`. See docs/errors/no-validation-step.md");
}

}  // namespace fulgurite::detail
