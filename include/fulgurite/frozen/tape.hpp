// SPDX-License-Identifier: MIT
// One training step as a list of operators on fixed tensors.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/GradMode.h>
#include <c10/core/impl/LocalDispatchKeySet.h>

#include <cstddef>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/call.hpp>
#include <fulgurite/frozen/detail/direct_gradients.hpp>
#include <fulgurite/frozen/detail/direct_stacks.hpp>
#include <fulgurite/frozen/detail/gradient_places.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/memory_plan.hpp>
#include <fulgurite/frozen/detail/own_calls.hpp>
#include <fulgurite/frozen/detail/recorder.hpp>
#include <fulgurite/frozen/detail/result_places.hpp>
#include <fulgurite/frozen/detail/typed_calls.hpp>
#include <fulgurite/frozen/frozen_refusal.hpp>

namespace fulgurite {

namespace detail {

class Comparison;

template <class Step>
at::Tensor result_of(Step& step) {
  if constexpr (std::is_convertible_v<decltype(step()), at::Tensor>) {
    return step();
  } else {
    step();
    return {};
  }
}

}  // namespace detail

/// What a step was recorded with, and what it can be replayed with.
///
///     auto tape = fg::Tape::record([&] { loss = step(x, y); }, {x, y}, model->parameters());
///     for (const auto& batch : batches) {
///       x.copy_(batch.data);
///       y.copy_(batch.target);
///       tape.replay();  // loss, gradients, buffers, and what else the step wrote are as after an eager step
///     }
///
/// Every tensor that the step wrote is written again at the same address: hold the ones that are of interest while it is
/// recorded. Not thread-safe.
class Tape {
 public:
  /// Runs `step()` once, eagerly, and writes down the operators that it executes on this thread. `inputs` are the
  /// tensors that batches are copied into. Gradients of `parameters` are where the recorded step left them after each
  /// replay; if it started without gradients, a replay does not look at any. Throws FrozenRefusal for what no replay can
  /// repeat, after the step, which is done then.
  /// A tensor that `step()` returns is `result()`.
  template <class Step>
  static Tape record(Step&& step, const std::vector<at::Tensor>& inputs, std::vector<at::Tensor> parameters = {}) {
    auto changing = inputs;
    changing.insert(changing.end(), parameters.begin(), parameters.end());
    detail::Recorder recorder(changing);
    detail::GradientPlaces gradients(std::move(parameters));
    at::Tensor result;
    {
      const detail::Listening listening(recorder);
      result = detail::same_memory(detail::result_of(step));
    }
    recorder.finish();
    return Tape(recorder, std::move(gradients), std::move(result));
  }

  /// The step once more, without autograd.
  void replay() const {
    run([](const detail::Instruction& instruction) { instruction.call->run(); });
  }
  /// The same, with `after(i)` after the i-th operator: to see where the time goes.
  template <class After>
  void replay(After&& after) const {
    std::size_t i = 0;
    run([&](const detail::Instruction& instruction) {
      instruction.call->run();
      after(i++);
    });
  }

  /// What the recorded step returned: its loss, at a fixed address.
  const at::Tensor& result() const { return result_; }

  std::size_t size() const { return instructions_.size(); }          ///< operators that a replay executes
  std::string operator_name(std::size_t i) const { return instructions_.at(i).name(); }  ///< of one of them
  std::size_t recorded() const { return recorded_.size(); }          ///< operators that the step executed, without views
  std::size_t views() const { return views_; }                       ///< operators that a replay does not need
  std::size_t shared_bytes() const { return memory_.bytes(); }       ///< memory of all short-lived tensors
  std::size_t bytes_before() const { return memory_.bytes_before(); }  ///< and if each had its own

  /// A line an operator.
  friend std::ostream& operator<<(std::ostream& out, const Tape& tape) {
    out << "tape of " << tape.size() << " operators (recorded " << tape.recorded() << " and " << tape.views()
        << " views), short-lived tensors in " << tape.shared_bytes() << " of " << tape.bytes_before() << " bytes\n";
    for (const detail::Instruction& instruction : tape.instructions_) {
      out << "  " << instruction.name();
      for (const c10::IValue& value : instruction.arguments) detail::print_value(out << ' ', value);
      out << '\n';
    }
    return out;
  }

 private:
  friend class detail::Comparison;
  using Memories = std::unordered_set<const c10::StorageImpl*>;

  Tape(detail::Recorder& recorder, detail::GradientPlaces gradients, at::Tensor result)
      : gradients_(std::move(gradients)), result_(std::move(result)), views_(recorder.views()) {
    const c10::NoGradGuard no_grad;
    const auto held = held_elsewhere(recorder);
    instructions_ = detail::make_instructions(recorder);
    detail::DirectGradients(instructions_, recorder).run();
    detail::DirectStacks(instructions_, recorder, held).run();
    const auto replaced = replaced_memories(recorder, held);
    auto own = held;
    own.insert(replaced.begin(), replaced.end());
    memory_ = detail::MemoryPlan(instructions_, recorder, own);
    for (const detail::RecordedOperator& recorded : recorder.operators()) recorded_.push_back(detail::numbers_of(recorded));
    Memories touched;
    Memories written;
    for (detail::Instruction& instruction : instructions_) {
      instruction.for_each_tensor([&](const at::Tensor& tensor, bool writes) {
        const c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
        touched.insert(storage);
        if (writes && !recorder.memory(tensor).made && written.insert(storage).second) {
          lasting_.push_back({instruction.name(), tensor});
        }
      });
      instruction.call = make_call(instruction, replaced);
    }
    gradients_.finish(
        [&](const at::Tensor& gradient) { return touched.contains(gradient.storage().unsafeGetStorageImpl()); });
  }

  /// Memories that someone beside the recorder can see: losses, gradients, whatever the step kept.
  static Memories held_elsewhere(detail::Recorder& recorder) {
    std::unordered_set<const c10::TensorImpl*> tensors;
    std::unordered_map<const c10::StorageImpl*, std::size_t> ours;
    std::unordered_map<const c10::StorageImpl*, std::size_t> all;
    const auto count = [&](const at::Tensor& tensor) {
      if (!tensors.insert(tensor.unsafeGetTensorImpl()).second) return;
      ++ours[tensor.storage().unsafeGetStorageImpl()];
      all[tensor.storage().unsafeGetStorageImpl()] = tensor.storage().use_count();
    };
    for (const detail::RecordedOperator& recorded : recorder.operators()) {
      for (const c10::IValue& value : recorded.arguments) detail::for_each_tensor_in(value, count);
      for (const c10::IValue& value : recorded.results) detail::for_each_tensor_in(value, count);
    }
    Memories held;
    for (const auto& [storage, references] : all) {
      if (references > ours[storage] + 1) held.insert(storage);  // one is the recorder's table of memories
    }
    return held;
  }

  /// Whole memories of short-lived tensors that an operator makes anew in each replay: its own takes their place.
  Memories replaced_memories(const detail::Recorder& recorder, const Memories& held) const {
    Memories replaced;
    for (const detail::Instruction& instruction : instructions_) {
      if (instruction.how != detail::Instruction::How::copying) continue;
      for (const c10::IValue& place : instruction.places) {
        if (!place.isTensor() || !place.toTensor().defined()) continue;
        const at::Tensor& tensor = place.toTensor();
        const c10::StorageImpl* storage = tensor.storage().unsafeGetStorageImpl();
        if (recorder.memory(tensor).made && !held.contains(storage) && storage->nbytes() == tensor.nbytes()) {
          replaced.insert(storage);
        }
      }
    }
    return replaced;
  }

  static std::unique_ptr<detail::Call> make_call(const detail::Instruction& instruction, const Memories& replaced) {
    using How = detail::Instruction::How;
    if (auto call = detail::own_call(instruction)) return call;
    if (instruction.how == How::copying) {
      detail::ResultPlaces places(instruction.places, [&](const at::Tensor& place) {
        return replaced.contains(place.storage().unsafeGetStorageImpl());
      });
      if (auto call = detail::typed_copying_call(instruction.op.schema(), instruction.arguments, places)) return call;
      return std::make_unique<detail::CopyingCall>(instruction.op, instruction.arguments, std::move(places));
    }
    if (auto call = detail::typed_call(instruction.op.schema(), instruction.arguments)) return call;
    return std::make_unique<detail::BoxedCall>(instruction.op, instruction.arguments);
  }

  /// A replay in which `execute(instruction)` runs each.
  template <class Execute>
  void run(Execute execute) const {
    if (detail::Recorder::active() != nullptr) {
      throw std::logic_error("fulgurite: a tape is replayed within a recorded step: replay it before or after");
    }
    const c10::NoGradGuard no_grad;
    const c10::impl::ExcludeDispatchKeyGuard below_autograd(
        c10::autograd_dispatch_keyset_with_ADInplaceOrView | c10::autocast_dispatch_keyset);
    gradients_.enter();
    bool grad_mode = false;
    for (const detail::Instruction& instruction : instructions_) {
      if (instruction.grad_mode != grad_mode) {
        grad_mode = instruction.grad_mode;
        c10::GradMode::set_enabled(grad_mode);  // builds no graph: autograd is left out
      }
      execute(instruction);
    }
    c10::GradMode::set_enabled(false);
    gradients_.leave();
  }

  std::vector<detail::Instruction> instructions_;
  detail::MemoryPlan memory_;
  detail::GradientPlaces gradients_;
  at::Tensor result_;
  std::vector<std::pair<std::string, at::Tensor>> lasting_;  // a tensor in each memory that is older than the step and
                                                             // written by it, and the first operator that writes it
  std::vector<detail::OperatorNumbers> recorded_;
  std::size_t views_;
};

}  // namespace fulgurite
