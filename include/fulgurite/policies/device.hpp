// SPDX-License-Identifier: MIT
// Slot: where the model is trained.
#pragma once

#include <concepts>
#include <ostream>

namespace fulgurite {

namespace slots {
struct Device;
}

/// A place for tensors, named without LibTorch.
struct DevicePlace {
  enum class Kind { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;  ///< which one of its kind

  friend constexpr bool operator==(DevicePlace, DevicePlace) = default;
};

/// The host's processor. A model that lies elsewhere is moved here; a batch that lies elsewhere is refused.
struct Cpu {
  using slot = slots::Device;

  static constexpr DevicePlace place() { return {DevicePlace::Kind::cpu, 0}; }

  friend constexpr bool operator==(Cpu, Cpu) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Cpu) { return out << "Cpu"; }
};

/// One NVIDIA GPU. The model is moved there once, host batches as they come; a batch on another GPU is refused.
template <int Index = 0>
struct Cuda {
  static_assert(Index >= 0, "fg::Cuda<index> needs an index of 0 or more. See docs/errors/device.md");

  using slot = slots::Device;

  static constexpr DevicePlace place() { return {DevicePlace::Kind::cuda, Index}; }

  friend constexpr bool operator==(Cuda, Cuda) { return true; }
  friend std::ostream& operator<<(std::ostream& out, Cuda) { return out << "Cuda<" << Index << '>'; }
};

/// Concept of the slot. `place()` may be decided at run time; it is asked once, when the trainer is made.
template <class P>
concept DevicePolicy = requires(const P& policy) {
  { policy.place() } -> std::same_as<DevicePlace>;
};

namespace slots {
struct Device {
  using fallback = Cpu;
  template <class P>
  static constexpr bool accepts = DevicePolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
