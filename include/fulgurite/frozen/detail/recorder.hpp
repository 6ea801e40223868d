// SPDX-License-Identifier: MIT
// Writes down every operator that one thread executes, below autograd.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <c10/core/DispatchKey.h>
#include <c10/core/DispatchKeySet.h>
#include <c10/core/GradMode.h>
#include <c10/core/Storage.h>
#include <c10/core/impl/LocalDispatchKeySet.h>
#include <torch/library.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <fulgurite/frozen/frozen_refusal.hpp>
#include "fingerprint.hpp"
#include "generator_trace.hpp"
#include "operators.hpp"
#include "out_variants.hpp"
#include "same_memory.hpp"
#include "refusals.hpp"

namespace fulgurite::detail {

/// Nobody else uses this key, and it stands where a recorder belongs: below autograd, autocast and views of views, above
/// the backends.
constexpr c10::DispatchKey recorder_key = c10::DispatchKey::Fake;

/// One operator as it was executed.
struct RecordedOperator {
  c10::OperatorHandle op;
  std::vector<c10::IValue> arguments;
  std::vector<c10::IValue> results;
  bool grad_mode = false;               // some kernels keep more if gradients will be asked for
  std::optional<OutVariant> variant{};  // with which a replay writes the results
  // If the recorder compares:
  std::uint64_t fingerprint = 0;    // of what it wrote
  std::vector<at::Tensor> drawn{};  // copies of what it wrote, if it is random
};

/// What a recording keeps of an operator for later: its name and its arguments that are no tensors.
struct OperatorNumbers {
  std::string name;
  std::vector<std::pair<std::string, std::string>> arguments;  // name and value

  friend bool operator==(const OperatorNumbers&, const OperatorNumbers&) = default;
};

inline OperatorNumbers numbers_of(const RecordedOperator& recorded) {
  const c10::FunctionSchema& schema = recorded.op.schema();
  OperatorNumbers numbers{full_name(schema), {}};
  for (std::size_t i = 0; i < recorded.arguments.size(); ++i) {
    std::ostringstream text;
    text.precision(17);
    const c10::IValue& value = recorded.arguments[i];
    const bool is_number = value.isTensor() && value.toTensor().defined() &&
                           value.toTensor().unsafeGetTensorImpl()->is_wrapped_number();
    if (is_number) {
      text << value.toTensor().item();
    } else {
      print_value(text, value);
    }
    numbers.arguments.emplace_back(schema.arguments()[i].name(), text.str());
  }
  return numbers;
}

/// What is known about a memory.
struct RecordedMemory {
  c10::Storage kept{};      // so that no address is used twice
  bool made = false;        // by a recorded operator
  bool changing = false;    // a replay may find other values in it
  bool inherited = false;   // or somebody may write others into what it was computed from: it is older than the step
  std::size_t writers = 0;  // operators that write it
};

/// What one thread executes while `Listening` to it.
class Recorder {
 public:
  /// `changing`: tensors whose values change from step to step, beside those that the step itself writes.
  explicit Recorder(const std::vector<at::Tensor>& changing) {
    for (const at::Tensor& tensor : changing) {
      if (tensor.defined() && tensor.has_storage()) memory_of(tensor).changing = true;
    }
  }

  /// One that refuses nothing and fingerprints what each operator writes, to tell where a replay differs. What random ones
  /// write it keeps.
  static Recorder for_comparison() {
    Recorder recorder({});
    recorder.trace_.emplace();
    return recorder;
  }

  bool compares() const { return trace_.has_value(); }
  /// Of the generators of the step, if it compares.
  std::optional<GeneratorTrace>& trace() { return trace_; }

  std::vector<RecordedOperator>& operators() { return operators_; }
  std::size_t views() const { return views_; }

  const RecordedMemory& memory(const at::Tensor& tensor) const {
    static const RecordedMemory foreign;
    const auto found = memories_.find(tensor.storage().unsafeGetStorageImpl());
    return found == memories_.end() ? foreign : found->second;
  }

  void record(const c10::OperatorHandle& op, c10::DispatchKeySet below, torch::jit::Stack* stack) {
    const c10::FunctionSchema& schema = op.schema();
    if (refusal_ || is_transparent(schema)) {
      op.redispatchBoxed(below, stack);
      return;
    }
    if (op.hasKernelForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd) &&
        !op.hasKernelForDispatchKey(c10::DispatchKey::CPU)) {  // in inference mode nothing has taken it apart yet
      op.callBoxedForDispatchKey(c10::DispatchKey::CompositeImplicitAutograd, *stack);
      return;
    }
    const auto count = static_cast<std::ptrdiff_t>(schema.arguments().size());
    std::vector<c10::IValue> arguments(stack->end() - count, stack->end());
    note_refusal([&] {
      if (!compares()) refuse_if_not_replayable(schema, arguments);
    });
    {
      const c10::impl::ExcludeDispatchKeyGuard not_within(recorder_key);
      std::optional<at::Generator> generator;
      if (compares() && is_random(op)) generator = generator_in(arguments);
      if (generator) trace_->before_operator(*generator);
      op.redispatchBoxed(below, stack);
      if (generator) trace_->after_operator(*generator, full_name(schema));
    }
    const auto result_count = static_cast<std::ptrdiff_t>(schema.returns().size());
    if (!refusal_) note_refusal([&] { write_down(op, arguments, {stack->end() - result_count, stack->end()}); });
  }

  /// Throws FrozenRefusal for the first operator that cannot be repeated, and if a value that was read on the host turned
  /// out to be one that changes.
  void finish() {
    if (refusal_) throw FrozenRefusal(*refusal_);
    for (const HostRead& read : host_reads_) {
      for (const at::Tensor& tensor : read.tensors) {
        if (memory(tensor).changing) refuse_host_read(read.name);
      }
    }
    host_reads_.clear();
  }

  /// The innermost recorder of this thread.
  static Recorder*& active() {
    thread_local Recorder* recorder = nullptr;
    return recorder;
  }

 private:
  struct HostRead {
    std::string name;
    std::vector<at::Tensor> tensors;
  };

  /// The step goes on to its end: half of one would be worse.
  template <class F>
  void note_refusal(F&& f) {
    try {
      f();
    } catch (const FrozenRefusal& refusal) {
      refusal_ = refusal;
    }
  }

  RecordedMemory& memory_of(const at::Tensor& tensor) {
    RecordedMemory& memory = memories_[tensor.storage().unsafeGetStorageImpl()];
    if (!memory.kept) memory.kept = tensor.storage();
    return memory;
  }

  template <class Condition>
  static bool any_tensor(const std::vector<c10::IValue>& values, Condition&& condition) {
    bool any = false;
    for (const c10::IValue& value : values) {
      for_each_tensor_in(value, [&](const at::Tensor& tensor) { any |= condition(tensor); });
    }
    return any;
  }

  bool any_inherited(const std::vector<c10::IValue>& values) const {
    return any_tensor(values, [this](const at::Tensor& tensor) {
      const RecordedMemory& from = memory(tensor);
      return from.inherited || (!from.made && !tensor.unsafeGetTensorImpl()->is_wrapped_number());
    });
  }

  bool any_changing(const std::vector<c10::IValue>& values) const {
    return any_tensor(values, [this](const at::Tensor& tensor) { return memory(tensor).changing; });
  }

  static bool returns_tensors_only(const c10::FunctionSchema& schema) {
    for (const c10::Argument& result : schema.returns()) {
      const auto& type = *result.type();
      if (!type.isSubtypeOf(*c10::TensorType::get()) && !type.isSubtypeOf(*c10::ListType::ofTensors()) &&
          !type.isSubtypeOf(*c10::OptionalType::create(c10::TensorType::get()))) {
        return false;
      }
    }
    return true;
  }

  static bool reads_on_host(const c10::FunctionSchema& schema) {
    return !returns_tensors_only(schema) && !reads_metadata_only(schema);
  }

  void refuse_if_not_replayable(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) const {
    for (const c10::IValue& argument : arguments) {
      for_each_tensor_in(argument, [&](const at::Tensor& tensor) { require_replayable(schema, tensor); });
    }
    if (schema.name() == "aten::equal" && is_same_tensor(arguments[0].toTensor(), arguments[1].toTensor())) return;
    if (!any_changing(arguments)) return;
    if (reads_on_host(schema)) refuse_host_read(full_name(schema));
    if (has_shape_from_data(schema, arguments)) refuse_shape_from_data(full_name(schema));
  }

  // A tensor equals itself: attention asks whether query, key and value are one.
  static bool is_same_tensor(const at::Tensor& a, const at::Tensor& b) {
    return a.is_alias_of(b) && a.storage_offset() == b.storage_offset() && a.sizes() == b.sizes() &&
           a.strides() == b.strides() && a.scalar_type() == b.scalar_type();
  }

  void write_down(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments,
                  const std::vector<c10::IValue>& results) {
    const c10::FunctionSchema& schema = op.schema();
    if (reads_metadata_only(schema)) return;
    if (reads_on_host(schema)) {
      if (schema.name() == "aten::equal" && is_same_tensor(arguments[0].toTensor(), arguments[1].toTensor())) return;
      HostRead read{full_name(schema), {}};
      for (const c10::IValue& argument : arguments) {
        for_each_tensor_in(argument, [&](const at::Tensor& tensor) { read.tensors.push_back(same_memory(tensor)); });
      }
      host_reads_.push_back(std::move(read));
      return;
    }
    for (const c10::IValue& result : results) {
      for_each_tensor_in(result, [&](const at::Tensor& tensor) {
        if (!compares()) require_replayable(schema, tensor);
      });
    }
    if (only_changes_metadata(op) || is_view(schema, arguments, results)) {
      ++views_;
      for (const c10::IValue& result : results) {
        for_each_tensor_in(result, [&](const at::Tensor& tensor) { memory_of(tensor); });
      }
      return;
    }
    const bool allocates = only_allocates(schema);
    note_writes(op, arguments, results, allocates);
    if (allocates) return;
    RecordedOperator recorded{op, {}, {}, c10::GradMode::is_enabled()};
    for (const c10::IValue& argument : arguments) recorded.arguments.push_back(same_memory(argument));
    for (const c10::IValue& result : results) recorded.results.push_back(same_memory(result));
    {
      const c10::impl::ExcludeDispatchKeyGuard not_within(recorder_key);
      if (compares()) {
        Fingerprint fingerprint;
        for_each_written(recorded, fingerprint);
        recorded.fingerprint = fingerprint.value;
        const c10::NoGradGuard no_grad;
        if (is_random(op)) {
          for_each_written(recorded, [&](const at::Tensor& tensor) { recorded.drawn.push_back(tensor.clone()); });
        }
      } else {
        const c10::NoGradGuard no_grad;
        recorded.variant = usable_out_variant(op, recorded.arguments, recorded.results);
      }
    }
    operators_.push_back(std::move(recorded));
  }

  /// In the order of Instruction::for_each_written.
  template <class F>
  static void for_each_written(const RecordedOperator& recorded, F&& f) {
    const c10::FunctionSchema& schema = recorded.op.schema();
    for (std::size_t i = 0; i < recorded.arguments.size(); ++i) {
      if (writes(schema, i)) for_each_tensor_in(recorded.arguments[i], f);
    }
    for (std::size_t i = 0; i < recorded.results.size(); ++i) {
      if (is_fresh(schema.returns()[i])) for_each_tensor_in(recorded.results[i], f);
    }
  }

  // Nothing is written, and every result lies in the memory of an argument.
  static bool is_view(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments,
                      const std::vector<c10::IValue>& results) {
    if (writes_anything(schema) || results.empty()) return false;
    bool any = false;
    bool all = true;
    for (const c10::IValue& result : results) {
      for_each_tensor_in(result, [&](const at::Tensor& tensor) {
        any = true;
        all &= lies_in(tensor, arguments);
      });
    }
    return any && all;
  }

  static bool lies_in(const at::Tensor& tensor, const std::vector<c10::IValue>& values) {
    return any_tensor(values, [&tensor](const at::Tensor& other) { return tensor.is_alias_of(other); });
  }

  void note_writes(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments,
                   const std::vector<c10::IValue>& results, bool allocates) {
    const c10::FunctionSchema& schema = op.schema();
    const bool changing = !allocates && (is_random(op) || any_changing(arguments));
    const bool inherited = !allocates && any_inherited(arguments);
    for (std::size_t i = 0; i < arguments.size(); ++i) {
      if (!writes(schema, i)) continue;
      for_each_tensor_in(arguments[i], [&](const at::Tensor& tensor) {
        RecordedMemory& memory = memory_of(tensor);
        ++memory.writers;
        memory.changing |= changing || !memory.made;  // what was there before the step goes on from step to step
        memory.inherited |= inherited;
      });
    }
    for (std::size_t i = 0; i < results.size(); ++i) {
      if (!is_fresh(schema.returns()[i])) continue;
      for_each_tensor_in(results[i], [&](const at::Tensor& tensor) {
        if (lies_in(tensor, arguments)) return;
        RecordedMemory& memory = memory_of(tensor);
        memory.made = true;
        memory.changing |= changing;
        memory.inherited |= inherited;
        if (!allocates) ++memory.writers;
      });
    }
  }

  std::vector<RecordedOperator> operators_;
  std::unordered_map<const c10::StorageImpl*, RecordedMemory> memories_;
  std::vector<HostRead> host_reads_;
  std::optional<FrozenRefusal> refusal_;
  std::optional<GeneratorTrace> trace_;
  std::size_t views_ = 0;
};

/// What the dispatcher calls for every operator of a thread that records.
inline void on_operator(const c10::OperatorHandle& op, c10::DispatchKeySet keys, torch::jit::Stack* stack) {
  Recorder* recorder = Recorder::active();
  if (recorder == nullptr) refuse_thread(full_name(op.schema()));
  recorder->record(op, keys & c10::DispatchKeySet(c10::DispatchKeySet::FULL_AFTER, recorder_key), stack);
}

/// Throws std::logic_error if the program uses the key for something else.
inline void require_unused(c10::DispatchKey key) {
  if (!c10::Dispatcher::singleton().hasBackendFallbackForDispatchKey(key)) return;
  throw std::logic_error(
      "fulgurite: a step cannot be frozen in this program, since something else in it uses the dispatch key " +
      std::string(c10::toString(key)) + " (torchdistX, or a second copy of this library)");
}

/// Once a program, when the first step is recorded. Operators of threads that record nothing never come by.
inline void register_recorder() {
  static const torch::Library* const library = [] {
    require_unused(recorder_key);
    auto* made = new torch::Library(torch::Library::IMPL, "_", recorder_key, __FILE__, __LINE__);
    made->fallback(torch::CppFunction::makeFromBoxedFunction<&on_operator>());
    return made;  // for good: operators may run until the program's last destructor
  }();
  static_cast<void>(library);
}

/// For a scope: `recorder` hears what this thread executes.
class Listening {
 public:
  explicit Listening(Recorder& recorder) : outer_(Recorder::active()) {
    if (outer_ != nullptr) {
      throw std::logic_error("fulgurite: a step is recorded within a recorded step: record it before or after");
    }
    register_recorder();
    Recorder::active() = &recorder;
    key_.emplace(recorder_key);
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;
  ~Listening() { Recorder::active() = outer_; }

 private:
  Recorder* outer_;
  std::optional<c10::impl::IncludeDispatchKeyGuard> key_;
};

}  // namespace fulgurite::detail
