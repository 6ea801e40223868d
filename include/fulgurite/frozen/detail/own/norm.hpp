// SPDX-License-Identifier: MIT
// The norm of a whole tensor, as clipping takes it of each gradient.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/typed_calls.hpp>

namespace fulgurite::detail {

/// Into a number that keeps all dimensions; LibTorch makes such a view of any other in each call.
inline std::unique_ptr<Call> norm_call(const Instruction& instruction) {
  const auto& schema = instruction.op.schema();
  if (instruction.how != Instruction::How::out || schema.name() != "aten::linalg_vector_norm") return nullptr;
  std::vector<c10::IValue> arguments = instruction.arguments;  // of, order, dimensions, whether they are kept, format, into
  const at::Tensor& from = arguments[0].toTensor();
  const at::Tensor& to = instruction.places[0].toTensor();
  if (from.dim() == 0 || from.numel() < 2 || to.dim() != 0 || !arguments[2].isNone()) return nullptr;
  const std::vector<std::int64_t> ones(static_cast<std::size_t>(from.dim()), 1);
  arguments[3] = true;
  arguments[5] = to.view(ones);
  return typed_call(instruction.op.schema(), arguments);
}

}  // namespace fulgurite::detail
