// SPDX-License-Identifier: MIT
// Tensors that are stacked only to be copied elsewhere are stacked there at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/StorageImpl.h>
#include <c10/util/DimVector.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/recorder.hpp>

namespace fulgurite::detail {

/// Walks the instructions of one step: attention whose query, key and value come of one product has such gradients.
class DirectStacks {
 public:
  /// `held`: memories that somebody sees beside the recording.
  DirectStacks(std::vector<Instruction>& instructions, const Recorder& recorder,
               const std::unordered_set<const c10::StorageImpl*>& held)
      : instructions_(instructions), recorder_(recorder), held_(held) {}

  /// `s = stack(…); x.copy_(s.permute(…))` becomes a stack into a permuted x.
  void run() {
    std::vector<Instruction> kept;
    std::unordered_set<std::size_t> dropped;
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      if (shorten(i)) dropped.insert(i);
    }
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      if (!dropped.contains(i)) kept.push_back(std::move(instructions_[i]));
    }
    instructions_ = std::move(kept);
  }

 private:
  bool shorten(std::size_t copy) {
    if (instructions_[copy].how != Instruction::How::in_place || instructions_[copy].op.schema().name() != "aten::copy_") {
      return false;
    }
    const at::Tensor to = instructions_[copy].arguments[0].toTensor();
    const at::Tensor from = instructions_[copy].arguments[1].toTensor();
    if (!recorder_.memory(from).made || held_.contains(from.storage().unsafeGetStorageImpl())) return false;
    if (to.scalar_type() != from.scalar_type() || to.sizes() != from.sizes()) return false;
    const auto maker = stack_of(from, copy);
    if (!maker || any_touches(to, *maker, copy)) return false;
    const auto place = permuted(instructions_[*maker].places[0].toTensor(), from, to);
    if (!place) return false;
    instructions_[*maker].places[0] = *place;
    instructions_[*maker].arguments.back() = *place;
    return true;
  }

  static bool touches(const Instruction& instruction, const at::Tensor& tensor) {
    bool touched = false;
    instruction.for_each_tensor([&](const at::Tensor& other, bool) { touched |= other.is_alias_of(tensor); });
    return touched;
  }

  bool any_touches(const at::Tensor& tensor, std::size_t first, std::size_t end) const {
    for (std::size_t i = first; i < end; ++i) {
      if (touches(instructions_[i], tensor)) return true;
    }
    return false;
  }

  /// The stack that makes `tensor`, if nothing else but the copy touches it.
  std::optional<std::size_t> stack_of(const at::Tensor& tensor, std::size_t copy) const {
    std::optional<std::size_t> stack;
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      if (i == copy || !touches(instructions_[i], tensor)) continue;
      if (stack || i > copy) return std::nullopt;
      stack = i;
    }
    if (!stack || instructions_[*stack].how != Instruction::How::out) return std::nullopt;
    return instructions_[*stack].op.schema().name() == "aten::stack" ? stack : std::nullopt;
  }

  /// `to` with its dimensions in the order that `stacked` has them; nothing if `from` is not `stacked` with its dimensions
  /// in another order.
  static std::optional<at::Tensor> permuted(const at::Tensor& stacked, const at::Tensor& from, const at::Tensor& to) {
    if (!stacked.is_contiguous() || stacked.numel() != from.numel() || stacked.storage_offset() != from.storage_offset()) {
      return std::nullopt;
    }
    at::DimVector strides;
    for (std::int64_t d = 0; d < stacked.dim(); ++d) {
      std::optional<std::int64_t> stride;
      if (stacked.size(d) == 1) stride = 1;
      for (std::int64_t e = 0; e < from.dim() && !stride; ++e) {
        if (from.size(e) == stacked.size(d) && from.stride(e) == stacked.stride(d)) stride = to.stride(e);
      }
      if (!stride) return std::nullopt;
      strides.push_back(*stride);
    }
    return to.as_strided(stacked.sizes(), strides, to.storage_offset());
  }

  std::vector<Instruction>& instructions_;
  const Recorder& recorder_;
  const std::unordered_set<const c10::StorageImpl*>& held_;
};

}  // namespace fulgurite::detail
