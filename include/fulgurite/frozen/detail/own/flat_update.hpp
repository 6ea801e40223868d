// SPDX-License-Identifier: MIT
// An optimizer's fused kernel on parameters that are not contiguous, as the kernels of a convolution in channels last.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <memory>
#include <vector>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/operators.hpp>
#include <fulgurite/frozen/detail/typed_calls.hpp>

namespace fulgurite::detail {

/// Number by number the kernel does the same in any order, except in what a vector does not fill at the end.
inline bool may_be_flat(const std::vector<at::Tensor>& of_one_parameter) {
  constexpr std::size_t longest_vector = 64;
  const at::Tensor& first = of_one_parameter.front();
  if (first.is_contiguous() || !first.is_non_overlapping_and_dense() || first.nbytes() % longest_vector != 0) return false;
  for (const at::Tensor& tensor : of_one_parameter) {
    if (tensor.sizes() != first.sizes() || tensor.strides() != first.strides()) return false;
  }
  return true;
}

/// Such tensors are passed as the memory lies; as they are, the kernel copies each to contiguous memory and back.
inline std::unique_ptr<Call> flat_update_call(const Instruction& instruction) {
  static const OperatorNames updates{"aten::_fused_adam_", "aten::_fused_adamw_", "aten::_fused_sgd_"};
  if (!updates.contains(instruction.op.schema().name())) return nullptr;
  std::vector<c10::IValue> arguments = instruction.arguments;
  std::vector<c10::List<at::Tensor>> lists;
  for (c10::IValue& argument : arguments) {
    if (!argument.isTensorList()) continue;
    lists.push_back(argument.toTensorList().copy());
    argument = lists.back();
  }
  bool any = false;
  for (std::size_t i = 0; i < lists.front().size(); ++i) {
    std::vector<at::Tensor> of_one_parameter;
    std::vector<c10::List<at::Tensor>> homes;
    for (const c10::List<at::Tensor>& list : lists) {
      if (i >= list.size() || !list.get(i).defined() || list.get(i).dim() == 0) continue;  // the last: counters of steps
      of_one_parameter.push_back(list.get(i));
      homes.push_back(list);
    }
    if (of_one_parameter.empty() || !may_be_flat(of_one_parameter)) continue;
    for (std::size_t k = 0; k < homes.size(); ++k) {
      homes[k].set(i, of_one_parameter[k].as_strided({of_one_parameter[k].numel()}, {1}));
    }
    any = true;
  }
  return any ? typed_call(instruction.op.schema(), arguments) : nullptr;
}

}  // namespace fulgurite::detail
