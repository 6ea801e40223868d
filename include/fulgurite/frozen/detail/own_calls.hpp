// SPDX-License-Identifier: MIT
// Loops of our own, where they give the very bits of the operator and cost less than to call it: they copy, or round once a
// number as any processor does.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>

#include "call.hpp"
#include "instruction.hpp"
#include "own/biased_product.hpp"
#include "own/elementwise.hpp"
#include "own/embedding.hpp"
#include "own/flat_update.hpp"
#include "own/max_pooling_backward.hpp"
#include "own/norm.hpp"
#include "own/plus_zero.hpp"
#include "own/stacking.hpp"

namespace fulgurite::detail {

/// nullptr: there is none for this operator on these tensors.
inline std::unique_ptr<Call> own_call(const Instruction& instruction) {
  if (instruction.how == Instruction::How::plus_zero) {
    const at::Tensor& to = instruction.places[0].toTensor();
    return plus_zero(instruction.arguments.empty() ? to : instruction.arguments[0].toTensor(), to);
  }
  if (!is_plain(instruction.arguments) || !is_plain(instruction.places)) return nullptr;
  for (const auto make : {elementwise_call, stacking_call, biased_product_call, max_pooling_backward_call, embedding_call,
                          embedding_backward_call, norm_call, flat_update_call}) {
    if (auto call = make(instruction)) return call;
  }
  return nullptr;
}

}  // namespace fulgurite::detail
