// SPDX-License-Identifier: MIT
// A gradient that is zeroed and then added to is written where it belongs at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/alignment.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/recorder.hpp>

namespace fulgurite::detail {

/// Memory from a tensor's first to its last element.
struct Extent {
  std::uintptr_t begin = 0;
  std::uintptr_t end = 0;

  explicit Extent(const at::Tensor& tensor) {
    if (tensor.numel() == 0) return;
    std::int64_t last = 0;
    for (std::int64_t d = 0; d < tensor.dim(); ++d) last += (tensor.size(d) - 1) * tensor.stride(d);
    begin = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr());
    end = begin + static_cast<std::uintptr_t>((last + 1) * tensor.element_size());
  }

  bool overlaps(const Extent& other) const { return begin < other.end && other.begin < end; }
  bool holds(const Extent& other) const { return begin <= other.begin && other.end <= end; }
  std::uintptr_t size() const { return end - begin; }
};

/// Walks the instructions of one step.
class DirectGradients {
 public:
  DirectGradients(std::vector<Instruction>& instructions, const Recorder& recorder)
      : instructions_(instructions), recorder_(recorder) {}

  /// `zero_(g); made = f(…); g.add_(made)` becomes `f.out(…, g)` and `g = 0 + g`, or at least `g = 0 + made`.
  void run() {
    for (std::size_t i = 0; i < instructions_.size(); ++i) shorten(i);
    std::vector<Instruction> kept;
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      const auto covered = covered_.find(i);
      if (covered != covered_.end() && covered->second == Extent(instructions_[i].arguments[0].toTensor()).size()) continue;
      kept.push_back(std::move(instructions_[i]));
    }
    instructions_ = std::move(kept);
  }

 private:
  void shorten(std::size_t add) {
    if (!is_plain_add(instructions_[add])) return;
    const at::Tensor home = instructions_[add].arguments[0].toTensor();
    const at::Tensor made = instructions_[add].arguments[1].toTensor();
    if (recorder_.memory(home).made || !recorder_.memory(made).made || !alike(home, made)) return;
    const Extent extent(home);
    const auto zero = last_touch(extent, add);
    if (!zero || !is_zeroing(instructions_[*zero], extent)) return;
    const auto maker = maker_of(made, add);
    const bool direct = maker && *maker > *zero && is_aligned(home);
    if (direct) retarget(instructions_[*maker], made, home);
    Instruction& after = instructions_[add];
    after.how = Instruction::How::plus_zero;
    after.arguments.clear();
    if (!direct) after.arguments.push_back(made);
    after.places = {home};
    covered_[*zero] += extent.size();
  }

  /// A matrix product may depend on how its result is aligned, and what eager steps make is aligned like this.
  static bool is_aligned(const at::Tensor& tensor) {
    return reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % c10::gAlignment == 0;
  }

  static bool is_plain_add(const Instruction& instruction) {
    const auto& schema = instruction.op.schema();
    return instruction.how == Instruction::How::in_place && schema.name() == "aten::add_" &&
           schema.overload_name() == "Tensor" && instruction.arguments[2].toScalar().equal(1);
  }

  static bool is_zeroing(const Instruction& instruction, const Extent& extent) {
    return instruction.how == Instruction::How::in_place && instruction.op.schema().name() == "aten::zero_" &&
           instruction.arguments[0].toTensor().is_contiguous() && Extent(instruction.arguments[0].toTensor()).holds(extent);
  }

  static bool alike(const at::Tensor& home, const at::Tensor& made) {
    return home.sizes() == made.sizes() && home.strides() == made.strides() && home.scalar_type() == made.scalar_type() &&
           home.is_non_overlapping_and_dense() && at::isFloatingType(home.scalar_type());
  }

  /// The same elements in the same order, perhaps under another shape: a bias and a sum that keeps its dimensions.
  static bool same_order(const at::Tensor& a, const at::Tensor& b) {
    if (a.sizes() == b.sizes() && a.strides() == b.strides()) return true;
    return a.numel() == b.numel() && a.is_contiguous() && b.is_contiguous();
  }

  static bool touches(const Instruction& instruction, const Extent& extent) {
    bool touched = false;
    instruction.for_each_tensor([&](const at::Tensor& tensor, bool) { touched |= Extent(tensor).overlaps(extent); });
    return touched;
  }

  std::optional<std::size_t> last_touch(const Extent& extent, std::size_t before) const {
    for (std::size_t i = before; i-- > 0;) {
      if (touches(instructions_[i], extent)) return i;
    }
    return std::nullopt;
  }

  /// The instruction that makes `made` as one of its results, if nothing else but `add` ever touches it.
  std::optional<std::size_t> maker_of(const at::Tensor& made, std::size_t add) const {
    if (made.storage().nbytes() != made.nbytes()) return std::nullopt;
    std::optional<std::size_t> maker;
    const Extent extent(made);
    for (std::size_t i = 0; i < instructions_.size(); ++i) {
      if (i == add || !touches(instructions_[i], extent)) continue;
      if (maker || i > add || !has_place(instructions_[i], made)) return std::nullopt;
      maker = i;
    }
    return maker;
  }

  static bool has_place(const Instruction& instruction, const at::Tensor& made) {
    if (instruction.how != Instruction::How::out && instruction.how != Instruction::How::copying) return false;
    std::size_t times = 0;
    instruction.for_each_tensor([&](const at::Tensor& tensor, bool) { times += tensor.is_alias_of(made) ? 1 : 0; });
    if (times != 1) return false;
    for (const c10::IValue& place : instruction.places) {
      if (place.isTensor() && place.toTensor().defined() && place.toTensor().is_alias_of(made)) {
        return same_order(place.toTensor(), made);
      }
    }
    return false;
  }

  static void retarget(Instruction& instruction, const at::Tensor& made, const at::Tensor& home) {
    const auto replace = [&](c10::IValue& value) {
      if (!value.isTensor() || !value.toTensor().defined() || !value.toTensor().is_alias_of(made)) return;
      const at::Tensor& place = value.toTensor();
      value = home.as_strided(place.sizes(), place.strides());
    };
    for (c10::IValue& place : instruction.places) replace(place);
    if (instruction.how == Instruction::How::out) {
      for (c10::IValue& argument : instruction.arguments) replace(argument);
    }
  }

  std::vector<Instruction>& instructions_;
  const Recorder& recorder_;
  std::unordered_map<std::size_t, std::uintptr_t> covered_;  // bytes of a zeroed tensor that are written at once
};

}  // namespace fulgurite::detail
