// SPDX-License-Identifier: MIT
// What a gradient is after it was zeroed and added to.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <utility>

#include <fulgurite/frozen/detail/call.hpp>

namespace fulgurite::detail {

/// 0 + x is x, except that -0 becomes 0. As integers, since a compiler may take x + 0 for x.
template <class Bits>
class PlusZero : public Call {
 public:
  /// Of one layout, without gaps.
  PlusZero(at::Tensor from, at::Tensor to) : from_(std::move(from)), to_(std::move(to)), count_(to_.numel()) {}

  void run() override {
    constexpr Bits negative_zero = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    const auto* from = static_cast<const Bits*>(from_.const_data_ptr());
    auto* to = static_cast<Bits*>(to_.mutable_data_ptr());
    for (std::int64_t i = 0; i < count_; ++i) to[i] = from[i] == negative_zero ? Bits{0} : from[i];
  }

 private:
  at::Tensor from_;
  at::Tensor to_;
  std::int64_t count_;
};

inline std::unique_ptr<Call> plus_zero(const at::Tensor& from, const at::Tensor& to) {
  switch (to.element_size()) {
    case 2: return std::make_unique<PlusZero<std::uint16_t>>(from, to);
    case 4: return std::make_unique<PlusZero<std::uint32_t>>(from, to);
    default: return std::make_unique<PlusZero<std::uint64_t>>(from, to);
  }
}

}  // namespace fulgurite::detail
