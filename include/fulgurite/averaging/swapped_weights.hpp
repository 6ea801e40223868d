// SPDX-License-Identifier: MIT
// Other values in a model's tensors, for a scope.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/allclose.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace fulgurite {

/// Writes other values into tensors; at its end each has its own back, bit for bit, also when an exception ends the
/// scope. Values are copied, so every tensor stays where it is in memory. Scopes may be nested.
class [[nodiscard]] SwappedWeights {
 public:
  struct Swap {
    at::Tensor tensor;
    at::Tensor value;                         ///< of the same shape; any device and floating-point type
    std::shared_ptr<bool> written = nullptr;  ///< if given, what is written into the tensor in the scope stays there, and
                                              ///< this becomes true
  };

  explicit SwappedWeights(const std::vector<Swap>& swaps) : SwappedWeights(KeepOwn{}, swaps) {
    // The other constructor has ended: if a copy fails, the destructor gives back what was overwritten.
    const c10::NoGradGuard no_grad;
    for (const auto& [tensor, value, written] : swaps) {
      tensor.copy_(value);
      ++swapped_;
    }
  }
  SwappedWeights(SwappedWeights&& other) noexcept
      : kept_(std::exchange(other.kept_, {})), swapped_(std::exchange(other.swapped_, 0)) {}
  SwappedWeights& operator=(SwappedWeights&&) = delete;
  ~SwappedWeights() {
    const c10::NoGradGuard no_grad;
    for (std::size_t i = 0; i < swapped_; ++i) {
      const auto& [tensor, own, value, written] = kept_[i];
      if (written && !is_same(tensor, value)) {
        *written = true;
      } else {
        tensor.copy_(own);
      }
    }
  }

 private:
  struct Kept {
    at::Tensor tensor;
    at::Tensor own;
    at::Tensor value;  // that the scope began with; undefined if no one asks what was written
    std::shared_ptr<bool> written;
  };

  struct KeepOwn {};
  SwappedWeights(KeepOwn, const std::vector<Swap>& swaps) {
    for (const auto& [tensor, value, written] : swaps) {
      // Kept where the other values are: averages on the host cost no memory of a GPU.
      const auto options = tensor.options().device(value.device());
      kept_.push_back({tensor, tensor.detach().to(options, /*non_blocking=*/false, /*copy=*/true),
                       written ? value.to(tensor.options(), /*non_blocking=*/false, /*copy=*/true) : at::Tensor(), written});
    }
  }

  static bool is_same(const at::Tensor& tensor, const at::Tensor& value) {
    // Of another kind since: comparing them would throw.
    if (tensor.device() != value.device() || tensor.scalar_type() != value.scalar_type()) return false;
    return tensor.sizes() == value.sizes() && at::allclose(tensor, value, 0.0, 0.0, /*equal_nan=*/true);
  }

  std::vector<Kept> kept_;
  std::size_t swapped_ = 0;  // of these
};

}  // namespace fulgurite
