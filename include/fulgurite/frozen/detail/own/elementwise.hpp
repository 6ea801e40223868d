// SPDX-License-Identifier: MIT
// Arithmetic on a few numbers: LibTorch looks longer at its arguments than it computes.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/Scalar.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/operators.hpp>
#include "layouts.hpp"

namespace fulgurite::detail {

/// `to[i] = operation(a[i], b[i])`, or `operation(a[i], b[0])`.
template <class Number, class Operation>
class Elementwise : public Call {
 public:
  Elementwise(at::Tensor a, at::Tensor b, at::Tensor to, Operation operation)
      : a_(std::move(a)), b_(std::move(b)), to_(std::move(to)), count_(to_.numel()), operation_(operation) {}

  void run() override {
    const auto* a = static_cast<const Number*>(a_.const_data_ptr());
    const auto* b = static_cast<const Number*>(b_.const_data_ptr());
    auto* to = static_cast<Number*>(to_.mutable_data_ptr());
    if (b_.numel() == count_) {
      for (std::int64_t i = 0; i < count_; ++i) to[i] = operation_(a[i], b[i]);
    } else {
      const Number number = b[0];
      for (std::int64_t i = 0; i < count_; ++i) to[i] = operation_(a[i], number);
    }
  }

 private:
  at::Tensor a_;
  at::Tensor b_;
  at::Tensor to_;
  std::int64_t count_;
  Operation operation_;
};

/// LibTorch's loops are as fast from here on: they know the processor that they run on.
constexpr std::int64_t few_numbers = 2048;

template <class Number, class Operation>
std::unique_ptr<Call> elementwise(const at::Tensor& a, const at::Tensor& b, const at::Tensor& to, Operation operation) {
  if (to.numel() > few_numbers || a.scalar_type() != to.scalar_type() || b.scalar_type() != to.scalar_type()) return nullptr;
  if (!same_walk(a, to) || !(same_walk(b, to) || b.numel() == 1)) return nullptr;
  return std::make_unique<Elementwise<Number, Operation>>(a, b, to, operation);
}

template <class Number>
std::unique_ptr<Call> elementwise_of(const std::string& name, const std::vector<c10::IValue>& arguments,
                                     const at::Tensor& to) {
  const at::Tensor& a = arguments[0].toTensor();
  // As LibTorch takes them: a NaN stays, and of two zeros the one that was there.
  if (name == "aten::clamp_min.out" || name == "aten::clamp_min_") {
    const auto least = arguments[1].toScalar().to<Number>();
    if (least != least) return nullptr;
    return elementwise<Number>(a, a, to, [least](Number x, Number) { return x < least ? least : x; });
  }
  if (!arguments[1].isTensor()) return nullptr;  // an overload with a number, as `div_.Scalar_mode`
  const at::Tensor& b = arguments[1].toTensor();
  if (name == "aten::threshold_backward.grad_input") {
    const auto threshold = arguments[2].toScalar().to<Number>();
    return elementwise<Number>(a, b, to, [threshold](Number gradient, Number x) {
      return x <= threshold ? Number{0} : gradient;
    });
  }
  const bool adds = name == "aten::add.out" || name == "aten::add_.Tensor";
  const bool subtracts = name == "aten::sub.out" || name == "aten::sub_.Tensor";
  if ((adds || subtracts) && !arguments[2].toScalar().equal(1)) return nullptr;
  if (adds) return elementwise<Number>(a, b, to, [](Number x, Number y) { return x + y; });
  if (subtracts) return elementwise<Number>(a, b, to, [](Number x, Number y) { return x - y; });
  if (name == "aten::mul.out" || name == "aten::mul_.Tensor") {
    return elementwise<Number>(a, b, to, [](Number x, Number y) { return x * y; });
  }
  if (name == "aten::div.out" || name == "aten::div_.Tensor") {
    return elementwise<Number>(a, b, to, [](Number x, Number y) { return x / y; });
  }
  return nullptr;
}

/// The one argument that is written: a step may also call an out= variant itself, as LibTorch's `x.mul_(2.0)` does.
inline const c10::IValue& written_argument(const Instruction& instruction) {
  std::size_t i = 0;
  while (!writes(instruction.op.schema(), i)) ++i;
  return instruction.arguments[i];
}

/// nullptr: not one of these, or not of few numbers.
inline std::unique_ptr<Call> elementwise_call(const Instruction& instruction) {
  static const OperatorNames known{"aten::clamp_min", "aten::clamp_min_", "aten::threshold_backward",
                                   "aten::add",       "aten::add_",       "aten::sub",
                                   "aten::sub_",      "aten::mul",        "aten::mul_",
                                   "aten::div",       "aten::div_"};
  if (instruction.how == Instruction::How::copying || !known.contains(instruction.op.schema().name())) return nullptr;
  const c10::IValue& to = written_argument(instruction);
  if (!to.isTensor() || !is_float_or_double(to.toTensor())) return nullptr;
  return with_number(to.toTensor(), [&]<class Number>() {
    return elementwise_of<Number>(full_name(instruction.op.schema()), instruction.arguments, to.toTensor());
  });
}

}  // namespace fulgurite::detail
