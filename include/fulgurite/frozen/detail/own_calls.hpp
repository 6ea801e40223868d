// SPDX-License-Identifier: MIT
// Loops of our own, where they give the very bits of the operator and cost less than to call it.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/add.h>

#include <cstddef>
#include <cstdint>
#include <memory>

#include "call.hpp"
#include "instruction.hpp"

namespace fulgurite::detail {

/// 0 + x is x, except that -0 becomes 0. As integers, since a compiler may take x + 0 for x.
template <class Bits>
class WithoutSign : public Call {
 public:
  explicit WithoutSign(at::Tensor tensor) : tensor_(std::move(tensor)), count_(tensor_.numel()) {}

  void run() override {
    constexpr Bits negative_zero = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
    auto* bits = static_cast<Bits*>(tensor_.mutable_data_ptr());
    for (std::int64_t i = 0; i < count_; ++i) bits[i] = bits[i] == negative_zero ? Bits{0} : bits[i];
  }

 private:
  at::Tensor tensor_;  // without gaps
  std::int64_t count_;
};

inline std::unique_ptr<Call> without_sign(const at::Tensor& tensor) {
  switch (tensor.element_size()) {
    case 2: return std::make_unique<WithoutSign<std::uint16_t>>(tensor);
    case 4: return std::make_unique<WithoutSign<std::uint32_t>>(tensor);
    default: return std::make_unique<WithoutSign<std::uint64_t>>(tensor);
  }
}

inline std::unique_ptr<Call> own_call(const Instruction& instruction) {
  if (instruction.how == Instruction::How::without_sign) return without_sign(instruction.places[0].toTensor());
  return nullptr;
}

}  // namespace fulgurite::detail
