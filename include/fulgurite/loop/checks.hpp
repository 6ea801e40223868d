// SPDX-License-Identifier: MIT
// The two doors. Facts are constants; the sentences stand alone in functions that nothing depends on, so that a misuse
// prints one error. Behind the doors nothing is checked again.
#pragma once

#include <concepts>
#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>

#include <fulgurite/concepts/backend.hpp>
#include <fulgurite/concepts/batches.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/policies/policy_set.hpp>
#include "configured_optimizers.hpp"
#include "engine.hpp"
#include "loss.hpp"
#include "optimizer_index.hpp"

namespace fulgurite::detail {

template <class Model>
concept Inheritable = std::is_class_v<Model> && !std::is_final_v<Model>;
template <class Model>
concept NamesTrainingStep = hooks::present<hooks::training_step_hook, Model>;
template <class Model>
concept NamesConfigureOptimizers = hooks::present<hooks::configure_optimizers_hook, Model>;
template <class Model>
concept ConfiguresWithoutArguments = requires(Model& model) { model.configure_optimizers(); };
/// Converts to whatever a parameter asks for.
struct AnyArgument {
  template <class T>
  operator T&() const;
};
template <class Model>
concept ConfiguresWithArguments = requires(Model& model, const AnyArgument& any) { model.configure_optimizers(any); } ||
                                  requires(Model& model, const AnyArgument& any) { model.configure_optimizers(any, any); };

template <class Returned>
concept OptimizerConfiguration =
    are_configured<Returned> || is_configured<Returned> || Optimizer<adapted_optimizer<Returned>>;

template <class Host, class... Hooks>
inline constexpr bool has_one_of = (hooks::present<Hooks, Host> || ...);

/// A hook in the place of what automatic optimization does itself. Only a model has those.
template <class Host>
inline constexpr bool replaces_a_part = has_one_of<Host, hooks::optimizer_step_hook, hooks::optimizer_zero_grad_hook,
                                                   hooks::configure_gradient_clipping_hook, hooks::lr_scheduler_step_hook>;
template <class C>
concept CallbackWithHook =
    has_one_of<C, hooks::setup_hook, hooks::on_fit_start_hook, hooks::on_train_start_hook, hooks::on_train_end_hook,
               hooks::on_fit_end_hook, hooks::teardown_hook, hooks::on_train_epoch_start_hook,
               hooks::on_train_epoch_end_hook, hooks::on_train_batch_start_hook, hooks::on_train_batch_end_hook,
               hooks::on_before_zero_grad_hook, hooks::on_before_backward_hook, hooks::on_after_backward_hook,
               hooks::on_before_optimizer_step_hook, hooks::on_validation_start_hook, hooks::validation_scope_hook,
               hooks::on_validation_epoch_start_hook, hooks::on_validation_batch_start_hook,
               hooks::on_validation_batch_end_hook, hooks::on_validation_epoch_end_hook, hooks::on_validation_end_hook,
               hooks::log_metrics_hook>;

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

// What the optimizers must offer to the policies, and to each other. Each fact holds for one, or for all.
template <class E, class Fact>
consteval bool for_all_optimizers(Fact fact) {
  return [&]<std::size_t... I>(std::index_sequence<I...>) {
    return (fact(optimizer_index<I>) && ...);
  }(std::make_index_sequence<E::optimizer_count>{});
}

template <class O, class Policy>
concept ClippedBy = std::same_as<Policy, NoClipping> ||
                    (HasGradients<O> && requires(O& optimizer, decltype(optimizer.gradients()) gradients) {
                      requires ClippingPolicy<Policy, decltype(gradients)>;
                    });
template <class E>
concept ClipsByPolicy = for_all_optimizers<E>([](auto index) {
  return ClippedBy<typename E::template OptimizerAt<index>, typename E::template ClippingAt<index>>;
});
template <class E>
concept ClippingAnswersFrozen =
    for_all_optimizers<E>([](auto index) { return AnswersFrozen<typename E::template ClippingAt<index>>; });
template <class E>
concept AccumulatesByPolicy = !E::accumulates || for_all_optimizers<E>([](auto index) {
  return ScalesGradients<typename E::template OptimizerAt<index>>;
});
template <class E>
concept ClosureFitsWindow = !(E::accumulates && E::Facts::reevaluate);
template <class E>
concept ClosureFitsNonFinite =
    !(E::Facts::reevaluate &&
      std::same_as<std::remove_cvref_t<decltype(std::declval<E&>().policies().non_finite())>, SkipNonFinite>);
template <class E>
concept PrecisionOfBackend = E::Backend::template supports_precision<typename E::Precision>;

template <class E>
concept LossScaleFits = !E::scales_loss || !PrecisionOfBackend<E> || for_all_optimizers<E>([](auto index) {
  return TakesLossScale<typename E::template OptimizerAt<index>>;
});

// Several optimizers.
template <class E>
concept OneWorld = for_all_optimizers<E>([](auto index) {
  return std::same_as<typename E::Backend,
                      typename backend_of<typename E::template OptimizerAt<index>, typename E::Precision>::type>;
});
template <class E>
concept TogglesFit = E::manual || E::optimizer_count == 1 || for_all_optimizers<E>([](auto index) {
  return E::Backend::template can_toggle<typename E::template OptimizerAt<index>>;
});
template <class E>
concept TurnsAreComplete = !E::Facts::take_turns || for_all_optimizers<E>([](auto index) {
  return E::template ConfiguredAt<index>::takes_turns;
});
template <class E>
concept TurnsAmongSeveral = !E::Facts::take_turns || (E::optimizer_count > 1 && !E::manual);
template <class E>
concept TurnsWithoutWindows = !(E::Facts::take_turns && E::accumulates);

// What a model that optimizes by hand does by hand.
template <class E>
concept ManualWithoutOwnClipping = !E::manual || for_all_optimizers<E>([](auto index) {
  return !E::template ConfiguredAt<index>::has_clipping;
});
template <class E>
concept ManualWithoutOwnIntervals = !E::manual || for_all_optimizers<E>([](auto index) {
  return !E::template ConfiguredAt<index>::has_intervals;
});
template <class E>
concept ManualWithoutReplacingHooks =
    !E::manual || !replaces_a_part<std::remove_cvref_t<decltype(std::declval<E&>().model())>>;

// What fg::Frozen asks for. Between forward and backward nothing of the program can run.
template <class E>
concept FreezesHere = !E::freezes || requires { typename frozen_steps_of<typename E::Backend>::type; };
template <class E>
concept FreezesModel =
    !E::freezes || !FreezesHere<E> ||
    frozen_steps_of<typename E::Backend>::template knows<std::remove_cvref_t<decltype(std::declval<E&>().model())>>;
template <class E>
concept FreezesHooks = !E::freezes || !E::hosts_act_within_closure;
template <class E>
concept FreezesOptimizers = !(E::freezes && E::Facts::reevaluate);

template <class E>
inline constexpr bool engine_works =
    FreezesHere<E> && FreezesModel<E> && FreezesHooks<E> && FreezesOptimizers<E> &&
    OneWorld<E> && ClipsByPolicy<E> && ClippingAnswersFrozen<E> && AccumulatesByPolicy<E> && ClosureFitsWindow<E> && ClosureFitsNonFinite<E> &&
    PrecisionOfBackend<E> && LossScaleFits<E> && TogglesFit<E> && TurnsAreComplete<E> && TurnsAmongSeveral<E> &&
    TurnsWithoutWindows<E> && ManualWithoutOwnClipping<E> && ManualWithoutOwnIntervals<E> && ManualWithoutReplacingHooks<E>;

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
    !replaces_a_part<C> &&
    !has_one_of<C, hooks::training_step_hook, hooks::validation_step_hook, hooks::configure_optimizers_hook>;

template <class Model>
concept ModelWithoutCallbackHook = !has_one_of<Model, hooks::log_metrics_hook, hooks::log_hyperparameters_hook>;

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
  static_assert(ClippingAnswersFrozen<E>,
                "the clipping policy has a member `repeats` or `decides_on_host` that fg::Frozen would overlook: write "
                "`static constexpr bool repeats = true;` and `bool decides_on_host() const`. "
                "See docs/errors/clipping-policy.md");
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
  static_assert(OneWorld<E>,
                "fg::optimizers(...) was given optimizers on tensors beside optimizers on plain types: give it either. "
                "See docs/errors/several-optimizers.md");
  static_assert(TogglesFit<E>,
                "several optimizers are toggled in turn, for which each must tell its parameters: "
                "`template <class F> void for_each_parameter(F&& f)` that calls f(tensor). "
                "See docs/errors/several-optimizers.md");
  static_assert(TurnsAreComplete<E>,
                "some optimizers take turns and some do not: give each of them .frequency(fg::Batches{n}), or none. "
                "See docs/errors/turns.md");
  static_assert(TurnsAmongSeveral<E>,
                ".frequency(fg::Batches{n}) is for several optimizers in automatic optimization: one alone trains on every "
                "batch, and in manual optimization the model decides. Remove it. See docs/errors/turns.md");
  static_assert(TurnsWithoutWindows<E>,
                "optimizers that take turns cannot accumulate: a window would begin with one and end with another. Remove "
                "the accumulation policy, or .frequency(...). See docs/errors/turns.md");
  static_assert(FreezesHere<E>,
                "fg::Frozen needs tensors and #include <fulgurite/frozen.hpp>: include it, or remove the policy. "
                "See docs/errors/frozen.md");
  static_assert(FreezesModel<E>,
                "fg::Frozen needs a model that is a torch::nn::Module: it looks after its parameters, buffers and modes. "
                "See docs/errors/frozen.md");
  static_assert(FreezesHooks<E>,
                "fg::Frozen cannot repeat the hooks on_before_zero_grad, optimizer_zero_grad, on_before_backward and "
                "on_after_backward, of the model or a callback: they would run while a step is recorded, and never again. "
                "Use on_before_optimizer_step, or remove the policy. See docs/errors/frozen.md");
  static_assert(FreezesOptimizers<E>,
                "fg::Frozen cannot go together with an optimizer that re-evaluates its closure (LBFGS): remove the policy. "
                "See docs/errors/frozen.md");
  static_assert(
      ManualWithoutOwnClipping<E>,
      "fg::ManualOptimization cannot go together with an optimizer's own clipping policy: call "
      "step.clip_gradients(optimizer, fg::ClipNorm{...}) in training_step. See docs/errors/manual-optimization.md");
  static_assert(ManualWithoutOwnIntervals<E>,
                "fg::ManualOptimization cannot go together with a schedule's own interval: leave it out, and call "
                "step.lr_schedulers().step() in training_step. See docs/errors/manual-optimization.md");
  static_assert(
      ManualWithoutReplacingHooks<E>,
      "fg::ManualOptimization never calls the hooks optimizer_step, optimizer_zero_grad, configure_gradient_clipping "
      "and lr_scheduler_step: training_step does what they replace. Move their code there, or remove the policy. "
      "See docs/errors/manual-optimization.md");
  static_assert(LossScaleFits<E>,
                "a precision with a loss scale (fg::Float16Mixed) needs an optimizer that can skip an overflowed step, and "
                "one that re-evaluates its closure (LBFGS) cannot: use fg::Bfloat16Mixed, or another optimizer. "
                "See docs/errors/loss-scale.md");
}

template <class Model>
void call_configure_optimizers(Model& model) {
  static_cast<void>(sizeof(model.configure_optimizers()));
}

template <class Model>
consteval void require_model() {
  static_assert(Inheritable<Model>,
                "the model must be a class that is not final: its hooks could not be checked by name. Remove `final`. "
                "See docs/errors/final-model.md");
  if constexpr (Inheritable<Model>) {
    hooks::require_well_spelt_hooks<Model>();
    static_assert(ModelWithoutCallbackHook<Model>,
                  "the model has log_metrics or log_hyperparameters, which only a callback has: it would never be called. "
                  "Move it into a callback. See docs/errors/callback-without-hook.md");
    static_assert(NamesTrainingStep<Model> || hooks::misspells_training_step<Model>,
                  "the model has no training_step: write `auto training_step(const Batch& batch, auto& step)` that returns "
                  "the loss. See docs/errors/no-training-step.md");
    static_assert(NamesConfigureOptimizers<Model> || hooks::misspells_configure_optimizers<Model>,
                  "the model has no configure_optimizers: write `auto configure_optimizers()` that returns "
                  "fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-3})). See docs/errors/no-configure-optimizers.md");
    if constexpr (NamesConfigureOptimizers<Model>) {
      if constexpr (!ConfiguresWithoutArguments<Model>) {
        static_assert(!ConfiguresWithArguments<Model>,
                      "the model's configure_optimizers has the wrong shape: write a public `auto configure_optimizers()`. "
                      "See docs/errors/hook-shape.md");
        if constexpr (!ConfiguresWithArguments<Model>) {
          // Its body does not compile, or it is private: the compiler says which, and a sentence of ours would hide it.
          static_cast<void>(&call_configure_optimizers<Model>);
        }
      } else if constexpr (std::is_void_v<returned_configuration<Model>>) {
        static_assert(!std::is_void_v<returned_configuration<Model>>,
                      "configure_optimizers returns nothing: end it with `return fg::optimizer(fg::AdamW(parameters(), {.lr = "
                      "1e-3}));`. See docs/errors/configure-optimizers-result.md");
      } else {
        static_assert(
            OptimizerConfiguration<returned_configuration<Model>> || refused_already<returned_configuration<Model>>,
            "configure_optimizers must return an optimizer, fg::optimizer(...) or fg::optimizers(...): this has no "
            "step() and zero_grad(). See docs/errors/configure-optimizers-result.md");
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
concept StepsOn = requires(Model& model, const typename E::template TakenBatch<Batch>& batch, typename E::Step& step) {
  model.training_step(batch, step);
};
template <class E, class Model, class Batch, class Index>
concept StepsOnFor = requires(Model& model, const typename E::template TakenBatch<Batch>& batch, typename E::Step& step,
                              Index& index) { model.training_step(batch, step, index); };

/// Converts to the index of an optimizer that is not there: a training_step that takes it was written for one too many.
template <std::size_t Count>
struct BeyondLast : OptimizerIndex<Count>, OptimizerIndex<Count + 1> {};

template <class E, class Model, class Batch>
concept StepsOnForEach = for_all_optimizers<E>([](auto index) {
  return StepsOnFor<E, Model, Batch, decltype(index)>;
});
// A training_step with `auto index`, or a number, takes the index of any optimizer, and is not asked for one too many:
// its body may not compile for that.
template <class E, class Model, class Batch>
concept StepsOnForAny = StepsOnFor<E, Model, Batch, std::integral_constant<std::size_t, 0>>;
template <class E, class Model, class Batch>
concept StepsOnForNoOther =
    StepsOnForAny<E, Model, Batch> || !StepsOnFor<E, Model, Batch, BeyondLast<E::optimizer_count>>;

/// The two once more. clang finds a training_step whose body has an error callable the first time, and never again: what
/// would come of that beside the compiler's own error is left out.
template <class E, class Model, class Batch>
concept StillStepsOn = requires(Model& model, const typename E::template TakenBatch<Batch>& batch, typename E::Step& step) {
  model.training_step(batch, step);
};
template <class E, class Model, class Batch>
concept StillStepsOnForEach = for_all_optimizers<E>([](auto index) {
  return requires(Model& model, const typename E::template TakenBatch<Batch>& batch, typename E::Step& step) {
    model.training_step(batch, step, index);
  };
});

template <class E, class Model, class Batch>
consteval bool trains_on() {
  if constexpr (!E::is_told_which) {
    if constexpr (!StepsOn<E, Model, Batch>) {
      return false;
    } else {
      return StillStepsOn<E, Model, Batch>;
    }
  } else if constexpr (!StepsOnForEach<E, Model, Batch>) {
    return false;
  } else if constexpr (!StepsOnForNoOther<E, Model, Batch>) {
    return false;
  } else {
    return StillStepsOnForEach<E, Model, Batch>;
  }
}

template <class Returned, class Backend>
concept LossResult = Backend::template accepts_loss<typename loss_of<std::remove_cvref_t<Returned>>::type>;

template <class O, class Returned>
concept LossFitsClosure = !NeedsClosure<O> || !(loss_of<std::remove_cvref_t<Returned>>::optional ||
                                               loss_of<std::remove_cvref_t<Returned>>::weighted);
template <class O, class Returned>
concept WeightFitsOptimizer = !loss_of<std::remove_cvref_t<Returned>>::weighted || ScalesGradients<O>;

template <class First, class Returned>
concept SameLoss = std::same_as<typename loss_of<std::remove_cvref_t<First>>::type,
                                typename loss_of<std::remove_cvref_t<Returned>>::type>;

template <class E, class Returned>
concept FreezesLoss = !E::freezes || !(loss_of<std::remove_cvref_t<Returned>>::optional ||
                                       loss_of<std::remove_cvref_t<Returned>>::weighted);
template <class E, class Batch>
concept FreezesBatch = !E::freezes || frozen_steps_of<typename E::Backend>::template holds_only_tensors<Batch>;

template <class E, class Batch, std::size_t I>
consteval bool loss_works() {
  using Returned = typename E::template Returned<Batch, I>;
  if constexpr (std::is_void_v<Returned>) {
    return false;
  } else {
    using O = typename E::template OptimizerAt<I>;
    return LossResult<Returned, typename E::Backend> && LossFitsClosure<O, Returned> && WeightFitsOptimizer<O, Returned> &&
           FreezesLoss<E, Returned> && FreezesBatch<E, Batch> && SameLoss<typename E::template Returned<Batch, 0>, Returned>;
  }
}

template <class E, class Model, class Batch>
consteval bool batch_works() {
  if constexpr (!trains_on<E, Model, Batch>()) {
    return false;
  } else if constexpr (E::manual) {
    return true;
  } else {
    return for_all_optimizers<E>([](auto index) { return loss_works<E, Batch, index>(); });
  }
}

template <class E, class Batch, std::size_t I>
consteval void require_loss() {
  using Returned = typename E::template Returned<Batch, I>;
  using O = typename E::template OptimizerAt<I>;
  static_assert(!std::is_void_v<Returned>,
                "training_step returns nothing, but automatic optimization needs the loss: return it, or add "
                "fg::ManualOptimization to the trainer's policies. See docs/errors/training-step-result.md");
  if constexpr (!std::is_void_v<Returned>) {
    static_assert(LossResult<Returned, typename E::Backend>,
                  "training_step must return a loss: a tensor (for plain types: something with value() and "
                  "backward(scale)), fg::WeightedLoss of one, or std::optional of either. "
                  "See docs/errors/training-step-result.md");
    static_assert(LossFitsClosure<O, Returned>,
                  "an optimizer that re-evaluates its closure (LBFGS) cannot skip a batch or weigh it: training_step must "
                  "return the loss itself, neither std::optional nor fg::WeightedLoss. "
                  "See docs/errors/training-step-result.md");
    static_assert(WeightFitsOptimizer<O, Returned>,
                  "a weighted loss needs an optimizer whose gradients can be scaled: "
                  "optimizer.gradients().scale(factor). See docs/errors/training-step-result.md");
    static_assert(
        FreezesLoss<E, Returned>,
        "fg::Frozen needs a training_step that returns the loss itself, neither std::optional nor fg::WeightedLoss: "
        "whether a batch is skipped, or what it weighs, is decided on the host. See docs/errors/frozen.md");
    static_assert(
        FreezesBatch<E, Batch>,
        "fg::Frozen needs batches of nothing but tensors: a number in a batch would stay what it was when the step was "
        "recorded. Put it into a tensor. See docs/errors/frozen.md");
    static_assert(!LossResult<Returned, typename E::Backend> || SameLoss<typename E::template Returned<Batch, 0>, Returned>,
                  "all training_step overloads of a model must return the same type of loss (optionally, or weighted). "
                  "See docs/errors/training-step-result.md");
  }
}

template <class E, class Model, class Batch>
consteval void require_batch() {
  constexpr bool with_index = StepsOnFor<E, Model, Batch, OptimizerIndex<0>>;
  if constexpr (E::is_told_which) {
    static_assert(with_index || !StepsOn<E, Model, Batch>,
                  "configure_optimizers returns several optimizers, and training_step is not told for which of them it is "
                  "called: write one overload for each, `auto training_step(const Batch& batch, auto& step, "
                  "fg::OptimizerIndex<I>)`, or add fg::ManualOptimization. See docs/errors/several-optimizers.md");
    static_assert(!with_index || StepsOnForEach<E, Model, Batch>,
                  "configure_optimizers returns more optimizers than there are overloads `training_step(batch, step, "
                  "fg::OptimizerIndex<I>)`: write one for each. See docs/errors/several-optimizers.md");
    static_assert(!StepsOnForEach<E, Model, Batch> || StepsOnForNoOther<E, Model, Batch>,
                  "there are more overloads `training_step(batch, step, fg::OptimizerIndex<I>)` than configure_optimizers "
                  "returns optimizers: some would never be called. See docs/errors/several-optimizers.md");
  } else {
    static_assert(StepsOn<E, Model, Batch> || !with_index,
                  "training_step takes an fg::OptimizerIndex, which only automatic optimization with several optimizers "
                  "gives: write `training_step(batch, step)`. See docs/errors/several-optimizers.md");
  }
  static_assert(
      StepsOn<E, Model, Batch> || with_index,
      "training_step cannot take these batches: write a public `auto training_step(const Batch& batch, auto& step)` "
      "for the type that the range gives, or give a range of what training_step takes. "
      "See docs/errors/batch-type.md");
  if constexpr (trains_on<E, Model, Batch>() && !E::manual) {
    E::for_each_optimizer([](auto index) { require_loss<E, Batch, index>(); });
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
