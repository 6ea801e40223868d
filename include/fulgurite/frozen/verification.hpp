// SPDX-License-Identifier: MIT
// Whether a replay does what an eager step does, bit for bit, and if not, where they part.
#pragma once

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <c10/core/GradMode.h>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/fingerprint.hpp>
#include <fulgurite/frozen/detail/recorder.hpp>
#include <fulgurite/frozen/tape.hpp>

namespace fulgurite {

/// What is compared beside all that the tape itself writes.
struct FrozenState {
  std::vector<std::pair<std::string, at::Tensor>> tensors{};     ///< to be called by name: parameters, buffers
  std::vector<std::pair<std::string, at::Tensor>> parameters{};  ///< whose gradients are compared
};

/// Where a replay parts from an eager step.
struct FrozenDifference {
  std::string tensor;         ///< the first of the state that differs
  std::string operator_name;  ///< the first that does something else; empty: none, so something beside the operators does
  std::string reason;         ///< in words

  std::string message() const {
    return "fulgurite: a replay of the frozen step differs from an eager one in " + tensor + ": " + reason;
  }
};

namespace detail {

/// A copy of all that a step changes.
class StateCopy {
 public:
  explicit StateCopy(const FrozenState& state, const at::Tensor& result = {}) : result_(copy_of(result)) {
    for (const auto& [name, tensor] : state.tensors) tensors_.push_back(copy_of(tensor));
    for (const auto& [name, parameter] : state.parameters) {
      places_.push_back(parameter.grad());
      gradients_.push_back(copy_of(parameter.grad()));
    }
    for (at::Generator& generator : generators_of(state)) {
      const std::lock_guard lock(generator.mutex());
      generators_.push_back(generator.get_state());
    }
  }

  void restore(const FrozenState& state) const {
    for (std::size_t i = 0; i < tensors_.size(); ++i) {
      if (tensors_[i].defined()) at::Tensor(state.tensors[i].second).copy_(tensors_[i]);
    }
    for (std::size_t i = 0; i < gradients_.size(); ++i) {
      at::Tensor place = places_[i];
      if (place.defined()) place.copy_(gradients_[i]);
      state.parameters[i].second.mutable_grad() = place;
    }
    std::size_t next = 0;
    for (at::Generator& generator : generators_of(state)) {
      const std::lock_guard lock(generator.mutex());
      generator.set_state(generators_[next++]);
    }
  }

  /// The name of the first tensor that differs; empty if there is none.
  static std::string first_difference(const FrozenState& state, const StateCopy& a, const StateCopy& b) {
    if (!same_bits(a.result_, b.result_)) return "the loss";
    for (std::size_t i = 0; i < a.gradients_.size(); ++i) {
      if (!same_bits(a.gradients_[i], b.gradients_[i])) return "the gradient of " + state.parameters[i].first;
    }
    for (std::size_t i = 0; i < a.tensors_.size(); ++i) {
      if (!same_bits(a.tensors_[i], b.tensors_[i])) return state.tensors[i].first;
    }
    for (std::size_t i = 0; i < a.generators_.size(); ++i) {
      if (!same_bits(a.generators_[i], b.generators_[i])) return "the state of the random generator";
    }
    return "";
  }

 private:
  /// The host's, and that of the model's device.
  static std::vector<at::Generator> generators_of(const FrozenState& state) {
    std::vector<at::Generator> generators{at::detail::getDefaultCPUGenerator()};
    if (!state.tensors.empty() && !state.tensors.front().second.is_cpu()) {
      generators.push_back(at::globalContext().defaultGenerator(state.tensors.front().second.device()));
    }
    return generators;
  }

  static at::Tensor copy_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.detach().clone() : tensor; }

  at::Tensor result_;
  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> gradients_;
  std::vector<at::Tensor> places_;
  std::vector<at::Tensor> generators_;  // their states
};

/// An eager step beside a replay, operator by operator.
class Comparison {
 public:
  Comparison(const Tape& tape, Recorder& eager) : tape_(tape), eager_(eager) {}

  /// `state`, and every memory that the tape writes beside it, as a whole.
  static FrozenState with_lasting(const Tape& tape, FrozenState state) {
    std::unordered_set<const void*> known;
    for (const auto& [name, tensor] : state.tensors) {
      if (tensor.defined() && tensor.nbytes() == tensor.storage().nbytes()) known.insert(tensor.storage().data());
    }
    for (const auto& [writer, tensor] : tape.lasting_) {
      if (known.contains(tensor.storage().data())) continue;
      const auto elements = static_cast<std::int64_t>(tensor.storage().nbytes()) / tensor.element_size();
      std::ostringstream name;
      print_value(name << "what " << writer << " writes, ", tensor);
      state.tensors.emplace_back(name.str(), same_memory(tensor).as_strided({elements}, {1}, 0));
    }
    return state;
  }

  /// So that the eager step finds them where a replay does, and writes the same memory.
  static void bring_gradients_back(const Tape& tape) { tape.gradients_.bring_back(); }

  /// Operator and reason; nothing if all operators do the same. Replays the tape.
  std::optional<std::pair<std::string, std::string>> first_difference() const {
    const std::size_t numbers = first_other_call();
    std::size_t values = eager_.operators().size();
    if (numbers == eager_.operators().size() && numbers == tape_.recorded_.size()) values = first_other_values();
    if (values < numbers) return std::pair{full_name(eager_.operators()[values].op.schema()), other_values(values)};
    return first_other_operator();
  }

  /// Likewise, but only what was called, not what came of it.
  std::optional<std::pair<std::string, std::string>> first_other_operator() const {
    const std::size_t numbers = first_other_call();
    if (numbers < eager_.operators().size() || numbers < tape_.recorded_.size()) return other_call(numbers);
    return std::nullopt;
  }

 private:
  // The first operator with another name or other numbers.
  std::size_t first_other_call() const {
    std::size_t i = 0;
    while (i < eager_.operators().size() && i < tape_.recorded_.size() &&
           numbers_of(eager_.operators()[i]) == tape_.recorded_[i]) {
      ++i;
    }
    return i;
  }

  std::size_t first_other_values() const {
    std::size_t first = eager_.operators().size();
    tape_.run([&](const Instruction& instruction) {
      if (instruction.how == Instruction::How::plus_zero || instruction.recorded >= first) return;
      Fingerprint fingerprint;
      instruction.for_each_written(fingerprint);
      if (fingerprint.value != eager_.operators()[instruction.recorded].fingerprint) first = instruction.recorded;
    });
    return first;
  }

  std::pair<std::string, std::string> other_call(std::size_t i) const {
    if (i == eager_.operators().size()) {
      return {tape_.recorded_[i].name, tape_.recorded_[i].name + " was recorded, and the eager step ended before it"};
    }
    const OperatorNumbers now = numbers_of(eager_.operators()[i]);
    if (i == tape_.recorded_.size()) return {now.name, "the eager step went on with " + now.name};
    const OperatorNumbers& then = tape_.recorded_[i];
    if (then.name != now.name) {
      return {now.name, "the eager step called " + now.name + " where " + then.name +
                            " was recorded: a step must call the same operators each time"};
    }
    std::size_t k = 0;
    while (then.arguments[k] == now.arguments[k]) ++k;
    return {now.name, now.name + " was recorded with " + then.arguments[k].first + " = " + then.arguments[k].second +
                          " and is now called with " + now.arguments[k].second +
                          ": a number on the host stays what it was, so keep it in a tensor, or leave this part of the "
                          "step out of the tape"};
  }

  std::string other_values(std::size_t i) const {
    return "operator " + std::to_string(i) + ", " + full_name(eager_.operators()[i].op.schema()) +
           ", gave other values: it reads something that a replay does not compute (a tensor filled on the host, memory "
           "that is written without operators, state that was made while the step was recorded)";
  }

  const Tape& tape_;
  Recorder& eager_;
};

}  // namespace detail

/// Makes one eager step, `step()`, and replays it from the same state. Nothing if the state is the same afterwards, bit
/// for bit (a NaN equals a NaN of the same bits): then it is that after one step, and the tape may go on. Otherwise what
/// differs; then the state is that after the eager step. Numbers that `step()` counts on the host count on by one either way.
template <class Step>
std::optional<FrozenDifference> verify(const Tape& tape, const FrozenState& named, Step&& step) {
  const bool with_gradients = c10::GradMode::is_enabled();
  const c10::NoGradGuard no_grad;
  detail::Comparison::bring_gradients_back(tape);
  const FrozenState state = detail::Comparison::with_lasting(tape, named);
  const detail::StateCopy before(state);
  detail::Recorder eager({});
  eager.compares = true;
  at::Tensor result;
  {
    const c10::AutoGradMode as_the_caller_has_it(with_gradients);
    const detail::Listening listening(eager);
    result = detail::result_of(step);
  }
  const detail::StateCopy expected(state, result);
  before.restore(state);
  tape.replay();
  const detail::StateCopy replayed(state, tape.result());
  const detail::Comparison comparison(tape, eager);
  std::string tensor = detail::StateCopy::first_difference(state, expected, replayed);
  if (tensor.empty()) {  // what it writes this time; another call would tell in the next step
    const auto other = comparison.first_other_operator();
    if (!other) return std::nullopt;
    expected.restore(state);
    return FrozenDifference{"the operators that it calls", other->first, other->second};
  }
  before.restore(state);
  const auto where = comparison.first_difference();
  expected.restore(state);
  if (!where) return FrozenDifference{tensor, "", "no operator does; something else writes it"};
  return FrozenDifference{tensor, where->first, where->second};
}

}  // namespace fulgurite
