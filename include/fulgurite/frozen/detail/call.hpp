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

/// An operator without a usable out= variant: what it makes is brought to where it was when the step was recorded.
class CopyingCall : public BoxedCall {
 public:
  /// `may_take_over(tensor)`: nobody sees the memory of this place but through the tape's tensors, so that it may be replaced.
  template <class MayTakeOver>
  CopyingCall(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments, const std::vector<c10::IValue>& places,
              MayTakeOver may_take_over)
      : BoxedCall(op, std::move(arguments)) {
    for (const c10::IValue& place : places) {
      const bool is_free = place.isTensor() && place.toTensor().defined() && may_take_over(place.toTensor());
      places_.push_back({place, is_free});
    }
  }

 private:
  struct Place {
    c10::IValue value;  // none: not needed
    bool is_free;
  };

  void take(const torch::jit::Stack& results) override {
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (!(places_[i].is_free && took_over(results[i].toTensor(), places_[i].value.toTensor()))) {
        copy(results[i], places_[i].value);
      }
    }
  }

  /// Exchanges the memory of two tensors, if nobody else sees that of `made`.
  static bool took_over(const at::Tensor& made, const at::Tensor& place) {
    if (!made.defined() || made.use_count() != 1 || made.scalar_type() != place.scalar_type() ||
        made.sizes() != place.sizes() || made.strides() != place.strides() || made.storage_offset() != 0 || made.storage().use_count() != 1 || made.storage().nbytes() != place.storage().nbytes()) {
      return false;
    }
    c10::StorageImpl* from = made.storage().unsafeGetStorageImpl();
    at::DataPtr old = place.storage().unsafeGetStorageImpl()->set_data_ptr(std::move(from->mutable_data_ptr()));
    from->set_data_ptr_noswap(std::move(old));
    return true;
  }

  static void copy(const c10::IValue& from, const c10::IValue& to) {
    if (to.isTensor()) {
      const at::Tensor& place = to.toTensor();
      if (place.defined() && !from.toTensor().is_alias_of(place)) place.copy_(from.toTensor());
    } else if (to.isList()) {
      const auto sources = from.toListRef();
      const auto targets = to.toListRef();
      for (std::size_t i = 0; i < targets.size(); ++i) copy(sources[i], targets[i]);
    }
  }

  std::vector<Place> places_;  // one a result
};

}  // namespace fulgurite::detail
