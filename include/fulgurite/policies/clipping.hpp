// SPDX-License-Identifier: MIT
// Slot: what is done to the gradients of an optimizer between backward and the update.
#pragma once

#include <concepts>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

namespace slots {
struct Clipping;
}

/// Gradients reach the update as backward left them.
struct NoClipping {
  using slot = slots::Clipping;
  static constexpr bool repeats = true;

  void clip(auto& /*gradients*/) const {}

  friend constexpr bool operator==(NoClipping, NoClipping) { return true; }
  friend std::ostream& operator<<(std::ostream& out, NoClipping) { return out << "NoClipping"; }
};

/// The norm of an optimizer's gradients was NaN or infinite, and `ClipNorm::error_if_nonfinite` is set. Neither gradients
/// nor parameters were changed by this clipping.
class NonFiniteGradient : public std::runtime_error {
 public:
  /// `where`: "in batch 3 of epoch 0", if it is known, and what is known of the gradient.
  explicit NonFiniteGradient(const std::string& where = {})
      : std::runtime_error("fulgurite: the norm of the gradients is not finite" + (where.empty() ? where : " " + where) +
                           ", and ClipNorm.error_if_nonfinite is set. No parameter was updated by them") {}
};

/// Scales all gradients of the optimizer down together, so that their norm is at most `max`:
/// g /= max(1, (norm + 1e-6) / max), the formula of torch.nn.utils.clip_grad_norm_.
struct ClipNorm {
  using slot = slots::Clipping;
  static constexpr bool repeats = true;
  double max = 1.0;        ///< largest total norm, above 0
  double norm_type = 2.0;  ///< p of the p-norm, above 0; infinity is the largest absolute value
  bool error_if_nonfinite = false;  ///< a norm that is NaN or infinite is an error; on a GPU the host waits for it

  /// If true, fg::Frozen runs clipping and update eagerly.
  constexpr bool decides_on_host() const { return error_if_nonfinite; }

  /// Returns the norm before, if the gradients give it (a tensor of no dimension, not read back). Throws NonFiniteGradient,
  /// before anything is clipped, if it is not finite and that is to be an error.
  auto clip(auto& gradients) const {
    if constexpr (requires { gradients.is_finite(norm_type); }) {
      if (error_if_nonfinite && !gradients.is_finite(norm_type)) throw NonFiniteGradient();
    }
    return gradients.clip_norm(max, norm_type);
  }

  constexpr const char* problem() const {
    if (!(max > 0.0)) return "ClipNorm.max must be above 0; to clip nothing, use fg::NoClipping";
    if (!(norm_type > 0.0)) return "ClipNorm.norm_type must be above 0: 2 is the usual norm, infinity the largest value";
    return nullptr;
  }

  friend constexpr bool operator==(ClipNorm, ClipNorm) = default;
  friend std::ostream& operator<<(std::ostream& out, ClipNorm policy) {
    if (!policy.error_if_nonfinite) {
      return detail::print(out, "ClipNorm", detail::field("max", policy.max), detail::field("norm_type", policy.norm_type));
    }
    return detail::print(out, "ClipNorm", detail::field("max", policy.max), detail::field("norm_type", policy.norm_type),
                         detail::field("error_if_nonfinite", policy.error_if_nonfinite));
  }
};

/// Clamps each gradient element into [-max, max], as torch.nn.utils.clip_grad_value_ does.
struct ClipValue {
  using slot = slots::Clipping;
  static constexpr bool repeats = true;
  double max = 1.0;  ///< largest absolute value, above 0

  void clip(auto& gradients) const { gradients.clip_value(max); }

  constexpr const char* problem() const {
    return max > 0.0 ? nullptr : "ClipValue.max must be above 0; to clip nothing, use fg::NoClipping";
  }

  friend constexpr bool operator==(ClipValue, ClipValue) = default;
  friend std::ostream& operator<<(std::ostream& out, ClipValue policy) {
    return detail::print(out, "ClipValue", detail::field("max", policy.max));
  }
};

/// Concept of the slot, for the gradients that the model's optimizer hands out (`optimizer.gradients()`).
template <class P, class Gradients>
concept ClippingPolicy = requires(const P& policy, Gradients& gradients) { policy.clip(gradients); };

/// Does the same to gradients each time, so that fg::Frozen may put it on a tape: `static constexpr bool repeats = true;`.
/// If that depends on its values, `bool decides_on_host() const` returns whether these keep it off the tape.
template <class P>
concept RepeatsClipping = requires { requires P::repeats; };

namespace detail {
struct NameRepeats {
  void repeats();
};
struct NameDecidesOnHost {
  void decides_on_host();
};
template <class P, class Name>
struct ClippingProbe : P, Name {};

/// The policy has a member of that name, in whatever shape, since it is ambiguous beside another. (Final ones are not looked
/// into: they cannot be inherited.)
template <class P>
concept NamesRepeats = !std::is_final_v<P> && !requires { &ClippingProbe<P, NameRepeats>::repeats; };
template <class P>
concept NamesDecidesOnHost = !std::is_final_v<P> && !requires { &ClippingProbe<P, NameDecidesOnHost>::decides_on_host; };

/// `repeats` and `decides_on_host` are what they must be, or absent.
template <class P>
concept AnswersFrozen = (!NamesRepeats<P> || requires {
                          requires std::same_as<decltype(P::repeats), const bool>;
                          typename std::bool_constant<P::repeats>;
                        }) && (!NamesDecidesOnHost<P> || requires(const P& policy) {
                          requires std::same_as<std::remove_cvref_t<decltype(policy.decides_on_host())>, bool>;
                        });

template <class P>
constexpr bool decides_on_host(const P& policy) {
  if constexpr (requires { policy.decides_on_host(); }) {
    return policy.decides_on_host();
  } else {
    return false;
  }
}
}  // namespace detail

namespace slots {
struct Clipping {
  using fallback = NoClipping;
  template <class P>
  static constexpr bool accepts = true;  // the gradients' type is known further in: loop/checks.hpp asks there
};
}  // namespace slots

}  // namespace fulgurite
