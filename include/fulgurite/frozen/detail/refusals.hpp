// SPDX-License-Identifier: MIT
// What cannot be frozen, a sentence each: what is wrong, and the usual fix.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/function_schema.h>

#include <string>

#include <fulgurite/frozen/frozen_refusal.hpp>
#include "operators.hpp"

namespace fulgurite::detail {

[[noreturn]] inline void refuse_host_read(const std::string& name) {
  throw FrozenRefusal(name,
                      "it reads, on the host, a value that changes from step to step, and a replay does not decide "
                      "anew: keep the value in a tensor (torch::where instead of if, fg::clip_grad_norm_ instead of "
                      "clip_grad_norm_), or read it after the step");
}

[[noreturn]] inline void refuse_shape_from_data(const std::string& name) {
  throw FrozenRefusal(name,
                      "the shape of what it makes depends on data that changes from step to step: use an operator with a "
                      "fixed shape (torch::where or masked_fill instead of boolean indexing, a mask and weights instead "
                      "of a selection)");
}

[[noreturn]] inline void refuse_device(const std::string& name, const at::Tensor& tensor) {
  throw FrozenRefusal(name, "it works on a tensor on " + tensor.device().str() +
                                ", and a tape replays operators of the CPU: move the model and its batches there");
}

[[noreturn]] inline void refuse_layout(const std::string& name) {
  throw FrozenRefusal(name,
                      "it works on a tensor that is not dense: use dense tensors (an Embedding without .sparse(true))");
}

[[noreturn]] inline void refuse_thread(const std::string& name) {
  throw FrozenRefusal(name, "it ran on another thread than the step that is recorded: run all of the step on one thread");
}

inline void require_replayable(const c10::FunctionSchema& schema, const at::Tensor& tensor) {
  if (!tensor.is_cpu()) refuse_device(full_name(schema), tensor);
  if (tensor.layout() != at::kStrided || !tensor.has_storage()) refuse_layout(full_name(schema));
}

}  // namespace fulgurite::detail
