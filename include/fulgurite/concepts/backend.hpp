// SPDX-License-Identifier: MIT
// What the engine asks of the world that losses, batches and parameters live in. The engine knows neither tensors nor
// LibTorch; it is given a backend by the optimizer: `PlainBackend` here, `TensorBackend` in tensors/backend.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/policies/device.hpp>
#include <fulgurite/policies/precision.hpp>

namespace fulgurite {

/// A guard that guards nothing.
struct NoGuard {
  constexpr NoGuard() = default;
  constexpr ~NoGuard() {}  // user-provided, so that a guard that does nothing is no unused variable
};

/// Toggles nothing: parameters of plain types have no requires_grad.
struct NoToggles {
  template <class... Optimizers>
  constexpr explicit NoToggles(const Optimizers&...) {}
  FULGURITE_INLINE constexpr NoGuard only(std::size_t /*optimizer*/) const {
    return {};
  }
};

/// The concept of a loss in the plain world.
template <class L>
concept PlainLoss = requires(L& loss, const L& constant, double scale) {
  { constant.value() } -> std::convertible_to<double>;
  loss.backward(scale);
};

/// The world of plain C++ types: a loss has `double value()` and `backward(double scale)`, which adds scale times its
/// gradient to the parameters'. One place, one number format.
struct PlainBackend {
  template <class Precision>
  static constexpr bool supports_precision =
      Precision::parameters == NumberFormat::unchanged && Precision::autocast == NumberFormat::unchanged &&
      !ScalesLoss<Precision>;

  template <class Loss>
  static constexpr bool accepts_loss = PlainLoss<Loss>;

  /// An optimizer of which several may be used: one whose parameters can be toggled, where parameters can be.
  template <class Optimizer>
  static constexpr bool can_toggle = true;
  using Toggles = NoToggles;

  template <class Precision>
  constexpr PlainBackend(DevicePlace, const Precision&) {}

  template <class Model>
  constexpr void prepare(Model&) const {}

  /// The batch as the model is to see it.
  template <class Batch>
  FULGURITE_INLINE constexpr const Batch& take(const Batch& batch) const {
    return batch;
  }

  /// Around training_step and validation_step.
  FULGURITE_INLINE constexpr NoGuard forward_guard() const { return {}; }
  /// Around a backward or an update that a manual training_step makes inside its forward_guard.
  FULGURITE_INLINE constexpr NoGuard full_precision_guard() const { return {}; }

  template <class Model>
  constexpr NoGuard evaluation_guard(Model&) const {
    return {};
  }

  /// Around a training, which records gradients wherever it is called.
  FULGURITE_INLINE constexpr NoGuard training_guard() const { return {}; }

  /// Errors that leave a batch are to be told of which batch they are: see TensorBackend::in_context.
  static constexpr bool explains_errors = false;

  /// What holds of the model when the trainer has been made, and of each optimizer; and whether it still does when a
  /// training begins. Both throw for what cannot be trained.
  template <class Model, class ForEachParameter>
  constexpr void note_parameters(Model&, const ForEachParameter&) {}
  template <class Model, class ForEachParameter>
  constexpr void require_same_parameters(Model&, const ForEachParameter&) const {}
  template <class Optimizer>
  constexpr void require_parameters(Optimizer&) const {}

  /// What is to be said of the modes of the model's modules when a training begins.
  template <class Model>
  std::string modes_to_mention(Model&) const {
    return {};
  }

  /// Whether gradients on which an optimizer has stepped are still there at its next step, though its zero_grad() was not
  /// called between: by-hand training is looked at in the first two steps.
  template <class Optimizer>
  constexpr void note_gradient(std::size_t /*optimizer*/, Optimizer&) {}
  template <class Optimizer>
  constexpr bool has_same_gradient(std::size_t /*optimizer*/, Optimizer&) const {
    return true;
  }

  template <class Loss>
  FULGURITE_INLINE constexpr void check_loss(const Loss&) const {}

  /// The loss, if it can be read. (Of a tensor on a GPU the host waits for it.)
  template <class Loss>
  FULGURITE_INLINE constexpr std::optional<double> host_value(const Loss& loss) const {
    return static_cast<double>(loss.value());
  }

  /// Adds the gradient of loss / divisor to the parameters'.
  template <class Loss>
  FULGURITE_INLINE constexpr void backward(Loss& loss, double divisor) const {
    loss.backward(1.0 / divisor);
  }

  /// While it lives, random numbers that are drawn leave no trace.
  FULGURITE_INLINE constexpr NoGuard random_guard() const { return {}; }

  /// How many examples a batch holds: its weight in an epoch's mean.
  template <class Batch>
  FULGURITE_INLINE constexpr double batch_size(const Batch&) const {
    return 1.0;
  }

  template <class Model>
  std::string first_non_finite_gradient(Model&) const {
    return {};
  }
  template <class Model>
  std::string first_non_finite_parameter(Model&) const {
    return {};
  }
};

namespace detail {

/// What fg::Frozen needs of a world: `type`, and which models and batches it `knows`. Specialised where there are tapes, in
/// frozen/frozen_steps.hpp.
template <class Backend>
struct frozen_steps_of {};

/// The same for a trainer without fg::Frozen: nothing.
struct NeverFrozen {
  template <class Policy>
  constexpr explicit NeverFrozen(const Policy&) {}
};
template <class Backend, bool Freezes>
struct frozen_member {
  using type = NeverFrozen;
};
template <class Backend>
  requires requires { typename frozen_steps_of<Backend>::type; }
struct frozen_member<Backend, true> {
  using type = typename frozen_steps_of<Backend>::type;
};

template <class Optimizer, class Precision>
struct backend_of {
  using type = PlainBackend;
};

// An optimizer names its world: `template <class Precision> using backend = ...`.
template <class Optimizer, class Precision>
  requires requires { typename Optimizer::template backend<Precision>; }
struct backend_of<Optimizer, Precision> {
  using type = typename Optimizer::template backend<Precision>;
};

}  // namespace detail

}  // namespace fulgurite
