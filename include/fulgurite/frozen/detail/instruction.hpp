// SPDX-License-Identifier: MIT
// From what was recorded to what is replayed: one instruction an operator.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/scalar_tensor.h>

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "call.hpp"
#include "operators.hpp"
#include "recorder.hpp"

namespace fulgurite::detail {

/// An operator on its way to a `Call`.
struct Instruction {
  enum class How {
    in_place,   ///< the operator writes into its own arguments
    out,        ///< its out= variant does; the last arguments are `places`
    copying,    ///< what the operator makes is taken over by `places`, or copied there
    plus_zero,  ///< `places` become 0 + the argument, or 0 + themselves; no operator
  };

  How how;
  std::size_t recorded;  // its place in the recording
  c10::OperatorHandle op;
  std::vector<c10::IValue> arguments;
  std::vector<c10::IValue> places{};
  bool grad_mode = false;  // as the recorded operator found it
  std::unique_ptr<Call> call{};

  std::string name() const {
    switch (how) {
      case How::plus_zero: return "0 + gradient";
      case How::copying: return full_name(op.schema()) + " (copied)";
      default: return full_name(op.schema());
    }
  }

  /// Calls f(tensor, written) for all tensors that it reads or writes.
  template <class F>
  void for_each_tensor(F&& f) const {
    const std::size_t own = how == How::out ? arguments.size() - places.size() : arguments.size();
    for (std::size_t i = 0; i < own; ++i) {
      const bool written = how != How::plus_zero && writes(op.schema(), i);
      for_each_tensor_in(arguments[i], [&](const at::Tensor& tensor) { f(tensor, written); });
    }
    for (const c10::IValue& place : places) {
      for_each_tensor_in(place, [&](const at::Tensor& tensor) { f(tensor, true); });
    }
  }

  /// Calls f(tensor) for what it writes.
  template <class F>
  void for_each_written(F&& f) const {
    for_each_tensor([&](const at::Tensor& tensor, bool written) {
      if (written) f(tensor);
    });
  }
};

inline std::vector<c10::IValue> fresh_results(const RecordedOperator& recorded) {
  const auto& returns = recorded.op.schema().returns();
  std::vector<c10::IValue> fresh;
  for (std::size_t i = 0; i < returns.size(); ++i) {
    if (is_fresh(returns[i])) fresh.push_back(recorded.results[i]);
  }
  return fresh;
}

/// The cheapest way to execute an operator again.
inline Instruction make_instruction(const RecordedOperator& recorded, std::size_t index) {
  const std::vector<c10::IValue> fresh = fresh_results(recorded);
  if (fresh.empty()) return {Instruction::How::in_place, index, recorded.op, recorded.arguments};
  if (recorded.variant) {
    auto arguments = recorded.variant->arguments;
    arguments.insert(arguments.end(), fresh.begin(), fresh.end());
    return {Instruction::How::out, index, recorded.variant->op, std::move(arguments), fresh};
  }
  Instruction copying{Instruction::How::copying, index, recorded.op, recorded.arguments};
  for (std::size_t i = 0; i < recorded.results.size(); ++i) {
    copying.places.push_back(is_fresh(recorded.op.schema().returns()[i]) ? recorded.results[i] : c10::IValue());
  }
  return copying;
}

/// Its results are the same on each replay, and nobody else writes them: the recording did it once for all.
inline bool is_constant(const Instruction& instruction, const RecordedOperator& recorded, const Recorder& recorder) {
  bool writes_memory = false;
  bool constant = !is_random(recorded.op);
  instruction.for_each_tensor([&](const at::Tensor& tensor, bool written) {
    const RecordedMemory& memory = recorder.memory(tensor);
    constant &= memory.made && !memory.changing && !memory.inherited && memory.writers <= 1;
    writes_memory |= written;
  });
  return constant && writes_memory;
}

inline bool is_number(const c10::IValue& value) {
  return value.isTensor() && value.toTensor().defined() && value.toTensor().unsafeGetTensorImpl()->is_wrapped_number();
}

/// `x * 2.0` holds a float64 number, which the kernel converts to the format of x each time: here once for all.
inline void convert_numbers(Instruction& instruction) {
  static const OperatorNames arithmetic{"aten::add", "aten::add_", "aten::sub", "aten::sub_",
                                        "aten::mul", "aten::mul_", "aten::div", "aten::div_"};
  if (instruction.how == Instruction::How::copying || !arithmetic.contains(instruction.op.schema().name())) return;
  std::optional<at::ScalarType> format;
  bool alike = true;
  for (const c10::IValue& argument : instruction.arguments) {
    if (is_number(argument) || !argument.isTensor()) continue;
    const at::ScalarType own = argument.toTensor().scalar_type();
    alike &= !format || *format == own;
    format = own;
  }
  if (!alike || (format != at::kFloat && format != at::kDouble)) return;  // shorter formats compute with the number itself
  for (c10::IValue& argument : instruction.arguments) {
    if (is_number(argument)) argument = at::scalar_tensor(argument.toTensor().item(), *format);
  }
}

inline std::vector<Instruction> make_instructions(Recorder& recorder) {
  std::vector<Instruction> instructions;
  for (std::size_t i = 0; i < recorder.operators().size(); ++i) {
    const RecordedOperator& recorded = recorder.operators()[i];
    Instruction instruction = make_instruction(recorded, i);
    instruction.grad_mode = recorded.grad_mode;
    convert_numbers(instruction);
    if (!is_constant(instruction, recorded, recorder)) instructions.push_back(std::move(instruction));
  }
  return instructions;
}

}  // namespace fulgurite::detail
