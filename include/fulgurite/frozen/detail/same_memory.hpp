// SPDX-License-Identifier: MIT
// A second tensor object over the same memory.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <c10/core/TensorImpl.h>

#include "operators.hpp"

namespace fulgurite::detail {

/// The same memory as `tensor`, in a tensor object of its own: the recorded step must not find its own tensors in use, or
/// autograd copies gradients instead of handing them over.
inline at::Tensor same_memory(const at::Tensor& tensor) {
  if (!tensor.defined()) return tensor;
  return at::Tensor(tensor.unsafeGetTensorImpl()->shallow_copy_and_detach(c10::VariableVersion(0),
                                                                          /*allow_tensor_metadata_change=*/true));
}

inline c10::IValue same_memory(const c10::IValue& value) {
  if (value.isTensor()) return same_memory(value.toTensor());
  if (!value.isList() || !has_tensors(value)) return value;
  c10::impl::GenericList copy(value.toList().elementType());
  for (const c10::IValue& element : value.toListRef()) copy.push_back(same_memory(element));
  return copy;
}

}  // namespace fulgurite::detail
