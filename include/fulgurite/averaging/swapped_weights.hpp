// SPDX-License-Identifier: MIT
// Other values in a model's tensors, for a scope.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include <utility>
#include <vector>

namespace fulgurite {

/// Writes other values into tensors; at its end each has its own back, bit for bit, also when an exception ends the
/// scope. Values are copied, so every tensor stays where it lies in memory. Scopes may be nested.
class [[nodiscard]] SwappedWeights {
 public:
  struct Swap {
    at::Tensor tensor;
    at::Tensor value;  ///< of the same shape; any device and floating-point type
  };

  explicit SwappedWeights(const std::vector<Swap>& swaps) : SwappedWeights(KeepOwn{}, swaps) {
    // The other constructor has ended: if a copy fails, the destructor gives back what was overwritten.
    const c10::NoGradGuard no_grad;
    for (const auto& [tensor, value] : swaps) tensor.copy_(value);
  }
  SwappedWeights(SwappedWeights&& other) noexcept : own_(std::exchange(other.own_, {})) {}
  SwappedWeights& operator=(SwappedWeights&&) = delete;
  ~SwappedWeights() {
    const c10::NoGradGuard no_grad;
    for (const auto& [tensor, value] : own_) tensor.copy_(value);
  }

 private:
  struct KeepOwn {};
  SwappedWeights(KeepOwn, const std::vector<Swap>& swaps) {
    const c10::NoGradGuard no_grad;
    own_.reserve(swaps.size());
    for (const auto& [tensor, value] : swaps) {
      // Kept where the other values lie: averages on the host cost no memory of a GPU.
      own_.push_back({tensor, tensor.detach().to(tensor.options().device(value.device()), /*non_blocking=*/false,
                                                 /*copy=*/true)});
    }
  }

  std::vector<Swap> own_;
};

}  // namespace fulgurite
