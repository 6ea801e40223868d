// SPDX-License-Identifier: MIT
// Slot: the number formats of parameters and of the forward pass.
#pragma once

#include <concepts>
#include <ostream>

namespace fulgurite {

namespace slots {
struct Precision;
}

/// A floating-point format, named without LibTorch.
enum class NumberFormat { unchanged, float32, float64, bfloat16 };

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

namespace slots {
struct Precision {
  using fallback = ModelPrecision;
  template <class P>
  static constexpr bool accepts = PrecisionPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
