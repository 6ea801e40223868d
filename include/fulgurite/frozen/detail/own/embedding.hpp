// SPDX-License-Identifier: MIT
// Rows of a table, and the gradients of rows.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/ops/embedding_ops.h>
#include <c10/core/ScalarType.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include "layouts.hpp"

namespace fulgurite::detail {

class Embedding : public Call {
 public:
  Embedding(at::Tensor table, at::Tensor indices, at::Tensor to)
      : table_(std::move(table)), indices_(std::move(indices)), to_(std::move(to)) {}

  void run() override {
    const auto* indices = static_cast<const std::int64_t*>(indices_.const_data_ptr());
    const std::int64_t count = indices_.numel(), rows = table_.size(0);
    const auto* table = static_cast<const std::byte*>(table_.const_data_ptr());
    auto* to = static_cast<std::byte*>(to_.mutable_data_ptr());
    const auto bytes = static_cast<std::int64_t>(table_.element_size()) * table_.size(1);
    for (std::int64_t i = 0; i < count; ++i) {
      if (indices[i] < 0 || indices[i] >= rows) return refuse();
      std::memcpy(to + i * bytes, table + indices[i] * bytes, static_cast<std::size_t>(bytes));
    }
  }

 private:
  /// With LibTorch's own words.
  void refuse() { at::_ops::embedding::redispatch(cpu_keys, table_, indices_, -1, false, false); }

  at::Tensor table_;
  at::Tensor indices_;
  at::Tensor to_;
};

/// Row by row in the order of the indices.
template <class Number>
class EmbeddingBackward : public Call {
 public:
  EmbeddingBackward(at::Tensor gradient, at::Tensor indices, std::int64_t padding, at::Tensor to)
      : gradient_(std::move(gradient)), indices_(std::move(indices)), padding_(padding), to_(std::move(to)) {}

  void run() override {
    const auto* indices = static_cast<const std::int64_t*>(indices_.const_data_ptr());
    const auto* gradient = static_cast<const Number*>(gradient_.const_data_ptr());
    auto* to = static_cast<Number*>(to_.mutable_data_ptr());
    const std::int64_t count = indices_.numel(), rows = to_.size(0), width = to_.size(1);
    std::memset(to, 0, to_.nbytes());
    for (std::int64_t i = 0; i < count; ++i) {
      if (indices[i] == padding_ || indices[i] < 0 || indices[i] >= rows) continue;
      Number* row = to + indices[i] * width;
      for (std::int64_t k = 0; k < width; ++k) row[k] += gradient[i * width + k];
    }
  }

 private:
  at::Tensor gradient_;
  at::Tensor indices_;
  std::int64_t padding_;
  at::Tensor to_;
};

inline std::unique_ptr<Call> embedding_call(const Instruction& instruction) {
  if (instruction.how != Instruction::How::copying || instruction.op.schema().name() != "aten::embedding") return nullptr;
  const at::Tensor& table = instruction.arguments[0].toTensor();
  const at::Tensor& indices = instruction.arguments[1].toTensor();
  const at::Tensor& to = instruction.places[0].toTensor();
  const bool plain = table.is_contiguous() && indices.is_contiguous() && to.is_contiguous();
  if (!plain || !is_for_one_thread(to) || table.dim() != 2 || indices.scalar_type() != at::kLong) return nullptr;
  return std::make_unique<Embedding>(table, indices, to);
}

inline std::unique_ptr<Call> embedding_backward_call(const Instruction& instruction) {
  const auto& schema = instruction.op.schema();
  if (instruction.how != Instruction::How::copying || schema.name() != "aten::embedding_dense_backward") return nullptr;
  const auto& arguments = instruction.arguments;
  const at::Tensor& gradient = arguments[0].toTensor();
  const at::Tensor& indices = arguments[1].toTensor();
  const at::Tensor& to = instruction.places[0].toTensor();
  const bool plain = gradient.is_contiguous() && indices.is_contiguous() && to.is_contiguous() && to.dim() == 2;
  const bool by_frequency = arguments[4].toBool();
  if (!plain || by_frequency || !is_for_one_thread(gradient)) return nullptr;
  if (indices.scalar_type() != at::kLong || !is_float_or_double(to)) return nullptr;
  return with_number(to, [&]<class Number>() -> std::unique_ptr<Call> {
    return std::make_unique<EmbeddingBackward<Number>>(gradient, indices, arguments[3].toInt(), to);
  });
}

}  // namespace fulgurite::detail
