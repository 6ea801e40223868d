// SPDX-License-Identifier: MIT
// Tensors side by side: a copy each.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/copy_ops.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include "layouts.hpp"

namespace fulgurite::detail {

class Stacking : public Call {
 public:
  Stacking(const std::vector<at::Tensor>& from, std::int64_t dimension, const at::Tensor& to) {
    for (std::size_t i = 0; i < from.size(); ++i) {
      const at::Tensor slice = to.select(dimension, static_cast<std::int64_t>(i));
      parts_.push_back({from[i], slice, same_walk(from[i], slice)});
    }
  }

  void run() override {
    for (Part& part : parts_) {
      if (part.bytes) {
        std::memcpy(part.to.mutable_data_ptr(), part.from.const_data_ptr(), part.from.nbytes());
      } else {
        at::_ops::copy_::redispatch(cpu_keys, part.to, part.from, /*non_blocking=*/false);
      }
    }
  }

 private:
  struct Part {
    at::Tensor from;
    at::Tensor to;
    bool bytes;
  };
  std::vector<Part> parts_;
};

inline std::unique_ptr<Call> stacking_call(const Instruction& instruction) {
  if (instruction.how != Instruction::How::out || instruction.op.schema().name() != "aten::stack") return nullptr;
  const at::Tensor& to = instruction.places[0].toTensor();
  if (!is_for_one_thread(to)) return nullptr;
  auto from = instruction.arguments[0].toTensorVector();
  for (const at::Tensor& tensor : from) {
    if (tensor.scalar_type() != to.scalar_type()) return nullptr;
  }
  return std::make_unique<Stacking>(from, instruction.arguments[1].toInt(), to);
}

}  // namespace fulgurite::detail
