// SPDX-License-Identifier: MIT
// How one operator is executed on a replay.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <c10/core/DispatchKeySet.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "operators.hpp"
#include "result_places.hpp"

namespace fulgurite::detail {

/// An operator with its arguments, ready to run. They are fixed tensors.
class Call {
 public:
  Call() = default;
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  virtual ~Call() = default;
  virtual void run() = 0;
};

/// What replays dispatch on.
constexpr c10::DispatchKeySet cpu_keys(c10::DispatchKey::CPU);

/// The tensors are plain ones, so that the kernel of the CPU is the right one.
inline bool is_plain(const std::vector<c10::IValue>& arguments) {
  const c10::DispatchKeySet expected = c10::DispatchKeySet(c10::DispatchKey::CPU) | c10::autograd_dispatch_keyset |
                                       c10::autocast_dispatch_keyset |
                                       c10::DispatchKeySet(c10::DispatchKey::ADInplaceOrView);
  bool plain = true;
  for (const c10::IValue& argument : arguments) {
    for_each_tensor_in(argument, [&](const at::Tensor& tensor) { plain &= (tensor.key_set() | expected) == expected; });
  }
  return plain;
}

/// Any operator that writes into its arguments.
class BoxedCall : public Call {
 public:
  BoxedCall(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments)
      : op_(op), arguments_(std::move(arguments)), plain_(is_plain(arguments_)) {}

  void run() override {
    stack_.assign(arguments_.begin(), arguments_.end());
    if (plain_) {
      op_.redispatchBoxed(cpu_keys, &stack_);
    } else {
      op_.callBoxed(&stack_);
    }
    take(stack_);
    stack_.clear();
  }

 protected:
  virtual void take(const torch::jit::Stack& /*results*/) {}

 private:
  c10::OperatorHandle op_;
  std::vector<c10::IValue> arguments_;
  torch::jit::Stack stack_;
  bool plain_;
};

/// An operator without a usable out= variant.
class CopyingCall : public BoxedCall {
 public:
  CopyingCall(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments, ResultPlaces places)
      : BoxedCall(op, std::move(arguments)), places_(std::move(places)) {}

 private:
  void take(const torch::jit::Stack& results) override {
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (places_.wants(i)) places_.take(i, results[i]);
    }
  }

  ResultPlaces places_;
};

}  // namespace fulgurite::detail
