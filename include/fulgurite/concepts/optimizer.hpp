// SPDX-License-Identifier: MIT
// What the engine needs of an optimizer. Torch-free: an optimizer of plain doubles is one too.
#pragma once

#include <concepts>
#include <cstdint>
#include <string>

namespace fulgurite {

/// Calls back for losses while it steps (LBFGS): `step(closure)`, where closure() is the loss. It says so by
/// `static constexpr bool needs_closure = true;`.
template <class O>
concept NeedsClosure = requires { requires O::needs_closure; };

/// Updates its parameters from their gradients, and forgets gradients.
template <class O>
concept Optimizer = requires(O& optimizer) { optimizer.zero_grad(); } &&
                    (NeedsClosure<O> || requires(O& optimizer) { optimizer.step(); });

/// Has learning rates that a schedule can drive, one for each parameter group.
template <class O>
concept HasLearningRate = requires(O& optimizer, const O& constant, std::int64_t group, double lr) {
  { constant.group_count() } -> std::convertible_to<std::int64_t>;
  { constant.lr(group) } -> std::convertible_to<double>;
  optimizer.set_lr(group, lr);
};

/// Has momenta (beta1 for the Adam family) that a schedule can drive, one for each parameter group.
template <class O>
concept HasMomentum = HasLearningRate<O> && requires(O& optimizer, const O& constant, std::int64_t group, double momentum) {
  { constant.momentum(group) } -> std::convertible_to<double>;
  optimizer.set_momentum(group, momentum);
};

/// Hands out its gradients for clipping: `gradients()` has `clip_norm(max, p)`, `clip_value(max)` and `scale(factor)`.
template <class O>
concept HasGradients = requires(O& optimizer) { optimizer.gradients(); };

/// Can multiply all of its gradients by a number, as short and weighted windows need.
template <class O>
concept ScalesGradients = HasGradients<O> && requires(O& optimizer, double factor) { optimizer.gradients().scale(factor); };

/// Divides its gradients by a loss scale, says in `found_inf` whether one of them is not finite, and skips the step then:
/// `set_loss_scale(scale, found_inf)`.
template <class O>
concept TakesLossScale = !NeedsClosure<O> && requires(O& optimizer) { optimizer.set_loss_scale({}, {}); };

/// Its update is the same operators on the same tensors each time, whatever learning rate and step: a tape may hold it for
/// as long as `revision()` stays what it was and gradients lie where they did. `bring_rates()` comes before each: it writes
/// learning rates to where the operators read them. `for_each_state(f)` calls f(name, tensor) for what the update writes
/// beside parameters.
template <class O>
concept RepeatsUpdate = requires(O& changing, const O& optimizer) {
  requires O::repeats_update;
  changing.bring_rates();
  { optimizer.revision() } -> std::convertible_to<std::uint64_t>;
  optimizer.for_each_parameter([](const auto&) {});
  optimizer.for_each_state([](const std::string&, const auto&) {});
};

/// What an optimizer is called in logs: its `name`, if it has one.
template <class O>
std::string optimizer_name(const O& optimizer) {
  if constexpr (requires { std::string(optimizer.name); }) {
    return std::string(optimizer.name);
  } else {
    return "optimizer";
  }
}

/// How an object that `configure_optimizers` returns becomes an `Optimizer`. Specialised for foreign ones
/// (`torch::optim::Optimizer` in optim/torch_optimizer.hpp).
template <class O>
struct optimizer_adapter {
  using type = O;
};

template <class O>
using adapted_optimizer = typename optimizer_adapter<O>::type;

}  // namespace fulgurite
