// SPDX-License-Identifier: MIT
// What a tape was recorded for: another batch of the same signature can be replayed.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/SmallVector.h>

#include <cstddef>
#include <cstdint>
#include <functional>

#include <fulgurite/tensors/for_each_tensor.hpp>

namespace fulgurite {

/// Shapes, formats, layouts and devices of a batch's tensors, and the mode of the model. A key of maps.
class BatchSignature {
 public:
  template <HoldsTensors Batch>
  explicit BatchSignature(const Batch& batch, bool training = true) : facts_{training ? 1 : 0} {
    for_each_tensor(batch, [this](const at::Tensor& tensor) { add(tensor); });
  }

  friend bool operator==(const BatchSignature&, const BatchSignature&) = default;

  std::size_t hash() const {
    std::size_t hash = facts_.size();
    for (const std::int64_t fact : facts_) {
      hash ^= std::hash<std::int64_t>()(fact) + 0x9e3779b97f4a7c15u + (hash << 6) + (hash >> 2);
    }
    return hash;
  }

 private:
  void add(const at::Tensor& tensor) {
    if (!tensor.defined()) {
      facts_.push_back(-1);
      return;
    }
    facts_.push_back(tensor.dim());
    facts_.push_back(static_cast<std::int64_t>(tensor.scalar_type()));
    facts_.push_back(static_cast<std::int64_t>(tensor.layout()));
    facts_.push_back(static_cast<std::int64_t>(tensor.device().type()));
    facts_.push_back(tensor.device().index());
    facts_.append(tensor.sizes().begin(), tensor.sizes().end());
    if (tensor.layout() == at::kStrided) facts_.append(tensor.strides().begin(), tensor.strides().end());
  }

  // Tensor by tensor; each begins with what says how many follow. Room for two of six dimensions without allocation.
  c10::SmallVector<std::int64_t, 36> facts_;
};

}  // namespace fulgurite

template <>
struct std::hash<fulgurite::BatchSignature> {
  std::size_t operator()(const fulgurite::BatchSignature& signature) const { return signature.hash(); }
};
