// SPDX-License-Identifier: MIT
// Slot: the number formats of parameters and of the forward pass.
#pragma once

#include <concepts>
#include <cstdint>
#include <ostream>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

namespace slots {
struct Precision;
}

/// A floating-point format, named without LibTorch.
enum class NumberFormat { unchanged, float32, float64, bfloat16, float16 };

/// Parameters and batches stay as they are.
struct ModelPrecision {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::unchanged;
  static constexpr NumberFormat autocast = NumberFormat::unchanged;

  friend constexpr bool operator==(ModelPrecision, ModelPrecision) { return true; }
  friend std::ostream& operator<<(std::ostream& out, ModelPrecision) { return out << "ModelPrecision"; }
};

/// Parameters, buffers and floating-point batches in 32 bits.
struct Float32 {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::float32;
  static constexpr NumberFormat autocast = NumberFormat::unchanged;

  friend constexpr bool operator==(Float32, Float32) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Float32) { return out << "Float32"; }
};

/// Parameters, buffers and floating-point batches in 64 bits.
struct Float64 {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::float64;
  static constexpr NumberFormat autocast = NumberFormat::unchanged;

  friend constexpr bool operator==(Float64, Float64) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Float64) { return out << "Float64"; }
};

/// Parameters stay as they are; the forward pass runs under autocast to bfloat16, backward and update do not.
struct Bfloat16Mixed {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::unchanged;
  static constexpr NumberFormat autocast = NumberFormat::bfloat16;

  friend constexpr bool operator==(Bfloat16Mixed, Bfloat16Mixed) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Bfloat16Mixed) { return out << "Bfloat16Mixed"; }
};

/// How a loss scale starts and moves; PyTorch's defaults.
struct LossScaleOptions {
  double initial_scale = 65536.0;       ///< factor of the loss at first, above 0; powers of two lose no bits
  double growth_factor = 2.0;           ///< of the scale, after `growth_interval` steps without overflow; above 1
  double backoff_factor = 0.5;          ///< of the scale, after an overflow; between 0 and 1
  std::int64_t growth_interval = 2000;  ///< steps without overflow, at least 1
  bool enabled = true;                  ///< false: losses are not multiplied, and no step is skipped

  constexpr const char* problem() const {
    if (!enabled) return nullptr;
    if (!(initial_scale > 0.0)) return "a loss scale needs an initial_scale above 0";
    if (!(growth_factor > 1.0)) return "a loss scale needs a growth_factor above 1";
    if (!(backoff_factor > 0.0 && backoff_factor < 1.0)) return "a loss scale needs a backoff_factor between 0 and 1";
    if (growth_interval < 1) return "a loss scale needs a growth_interval of 1 or more";
    return nullptr;
  }

  friend constexpr bool operator==(const LossScaleOptions&, const LossScaleOptions&) = default;
};

/// Parameters stay as they are; the forward pass runs under autocast to float16, and the loss is scaled so that small
/// gradients survive. A step whose gradients overflow is skipped: it counts in `skipped_steps`, and advances neither
/// `global_step` nor a schedule.
struct Float16Mixed {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::unchanged;
  static constexpr NumberFormat autocast = NumberFormat::float16;

  double initial_scale = 65536.0;       ///< factor of the loss at first, above 0; powers of two lose no bits
  double growth_factor = 2.0;           ///< of the scale, after `growth_interval` steps without overflow; above 1
  double backoff_factor = 0.5;          ///< of the scale, after an overflow; between 0 and 1
  std::int64_t growth_interval = 2000;  ///< steps without overflow, at least 1

  constexpr LossScaleOptions loss_scale() const {
    return {.initial_scale = initial_scale,
            .growth_factor = growth_factor,
            .backoff_factor = backoff_factor,
            .growth_interval = growth_interval};
  }
  constexpr const char* problem() const { return loss_scale().problem(); }

  friend constexpr bool operator==(const Float16Mixed&, const Float16Mixed&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Float16Mixed& policy) {
    return detail::print(out, "Float16Mixed", detail::field("initial_scale", policy.initial_scale),
                         detail::field("growth_factor", policy.growth_factor),
                         detail::field("backoff_factor", policy.backoff_factor),
                         detail::field("growth_interval", policy.growth_interval));
  }
};

/// Parameters, buffers, batches and optimizer state in bfloat16: half the memory, and updates are rounded to 8 bits.
struct Bfloat16True {
  using slot = slots::Precision;
  static constexpr NumberFormat parameters = NumberFormat::bfloat16;
  static constexpr NumberFormat autocast = NumberFormat::unchanged;

  friend constexpr bool operator==(Bfloat16True, Bfloat16True) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Bfloat16True) { return out << "Bfloat16True"; }
};

/// Concept of the slot: what parameters and batches are converted to, and what the forward pass is cast to.
template <class P>
concept PrecisionPolicy = requires {
  { P::parameters } -> std::convertible_to<NumberFormat>;
  { P::autocast } -> std::convertible_to<NumberFormat>;
};

/// A precision that needs a loss scale says how it moves: `fg::LossScaleOptions loss_scale() const`.
template <class P>
concept ScalesLoss = requires(const P& policy) {
  { policy.loss_scale() } -> std::same_as<LossScaleOptions>;
};

namespace slots {
struct Precision {
  using fallback = ModelPrecision;
  template <class P>
  static constexpr bool accepts = PrecisionPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
