// SPDX-License-Identifier: MIT
// A matrix product on top of a bias, as a linear layer's.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/addmm_ops.h>
#include <c10/core/Scalar.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include "layouts.hpp"

namespace fulgurite::detail {

/// LibTorch copies the bias to each row and has the product added, too; only its copying is slower than that of few rows.
class BiasedProduct : public Call {
 public:
  BiasedProduct(at::Tensor bias, at::Tensor a, at::Tensor b, at::Scalar beta, at::Scalar alpha, at::Tensor to)
      : bias_(std::move(bias)), a_(std::move(a)), b_(std::move(b)), beta_(std::move(beta)), alpha_(std::move(alpha)),
        to_(std::move(to)) {}

  void run() override {
    const std::size_t bytes = bias_.nbytes();
    auto* row = static_cast<std::byte*>(to_.mutable_data_ptr());
    for (std::int64_t i = 0; i < to_.size(0); ++i, row += bytes) std::memcpy(row, bias_.const_data_ptr(), bytes);
    at::_ops::addmm_::redispatch(cpu_keys, to_, a_, b_, beta_, alpha_);
  }

 private:
  at::Tensor bias_;
  at::Tensor a_;
  at::Tensor b_;
  at::Scalar beta_;
  at::Scalar alpha_;
  at::Tensor to_;
};

inline std::unique_ptr<Call> biased_product_call(const Instruction& instruction) {
  if (instruction.how != Instruction::How::out || instruction.op.schema().name() != "aten::addmm") return nullptr;
  const auto& arguments = instruction.arguments;
  const at::Tensor& bias = arguments[0].toTensor();
  const at::Tensor& to = instruction.places[0].toTensor();
  const bool is_row = bias.dim() == 1 && bias.is_contiguous() && to.is_contiguous() && bias.size(0) == to.size(1);
  if (!is_row || !is_for_one_thread(to) || bias.scalar_type() != to.scalar_type()) return nullptr;
  if (arguments[3].toScalar().equal(0)) return nullptr;
  return std::make_unique<BiasedProduct>(bias, arguments[1].toTensor(), arguments[2].toTensor(), arguments[3].toScalar(),
                                         arguments[4].toScalar(), to);
}

}  // namespace fulgurite::detail
