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
#include <optional>
#include <sstream>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include <fulgurite/frozen/detail/fingerprint.hpp>
#include <fulgurite/frozen/detail/generator_trace.hpp>
#include <fulgurite/frozen/detail/instruction.hpp>
#include <fulgurite/frozen/detail/operators.hpp>
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
  bool uncertain = false;     ///< another thread may have caused it: in the next step it may be gone

  std::string message() const {
    return "fulgurite: a replay of the frozen step differs from an eager one in " + tensor + ": " + reason;
  }
};

namespace detail {

/// A copy of all tensors that a step changes.
class StateCopy {
 public:
  explicit StateCopy(const FrozenState& state, const at::Tensor& result = {}) : result_(copy_of(result)) {
    for (const auto& [name, tensor] : state.tensors) tensors_.push_back(copy_of(tensor));
    for (const auto& [name, parameter] : state.parameters) {
      places_.push_back(parameter.grad());
      gradients_.push_back(copy_of(parameter.grad()));
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
    return "";
  }

 private:
  static at::Tensor copy_of(const at::Tensor& tensor) { return tensor.defined() ? tensor.detach().clone() : tensor; }

  at::Tensor result_;
  std::vector<at::Tensor> tensors_;
  std::vector<at::Tensor> gradients_;
  std::vector<at::Tensor> places_;
};

/// A copy of the states of the default generators: the host's, and that of the model's device.
class GeneratorCopy {
 public:
  explicit GeneratorCopy(const FrozenState& state) {
    add(at::detail::getDefaultCPUGenerator());
    if (!state.tensors.empty() && !state.tensors.front().second.is_cpu()) {
      add(at::globalContext().defaultGenerator(state.tensors.front().second.device()));
    }
  }

  void restore() const {
    for (const auto& [generator, state] : states_) set_state_of(generator, state);
  }

  static bool same(const GeneratorCopy& a, const GeneratorCopy& b) {
    bool same = true;
    for (std::size_t i = 0; i < a.states_.size(); ++i) same &= same_bits(a.states_[i].second, b.states_[i].second);
    return same;
  }

 private:
  void add(const at::Generator& generator) { states_.emplace_back(generator, state_of(generator)); }

  std::vector<std::pair<at::Generator, at::Tensor>> states_;
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

  /// `recorder` follows the generators that the tape draws from.
  static void trace_generators(const Tape& tape, Recorder& recorder) {
    for (const Instruction& instruction : tape.instructions_) {
      if (is_random_one(instruction)) {
        recorder.trace()->begin(generator_in(instruction.arguments), full_name(instruction.op.schema()));
      }
    }
  }

  /// Replays the tape with the numbers that the eager step has drawn, so that no generator moves.
  void replay() const {
    tape_.run([this](const Instruction& instruction) { run_without_drawing(instruction); });
  }

  /// Operator and reason; std::nullopt if all operators do the same. Replays the tape, without drawing.
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
  static bool is_random_one(const Instruction& instruction) {
    return instruction.how != Instruction::How::plus_zero && is_random(instruction.op);
  }

  void run_without_drawing(const Instruction& instruction) const {
    if (!is_random_one(instruction)) return instruction.call->run();
    if (take_drawn(instruction)) return;
    const at::Generator generator = generator_in(instruction.arguments);
    const at::Tensor state = state_of(generator);
    instruction.call->run();
    set_state_of(generator, state);
  }

  /// False if the eager step has called something else there.
  bool take_drawn(const Instruction& instruction) const {
    if (instruction.recorded >= eager_.operators().size()) return false;
    const RecordedOperator& eager = eager_.operators()[instruction.recorded];
    std::size_t next = 0;
    bool alike = eager.op == instruction.op;
    instruction.for_each_written([&](const at::Tensor& tensor) {
      alike = alike && next < eager.drawn.size() && eager.drawn[next].sizes() == tensor.sizes() &&
              eager.drawn[next].scalar_type() == tensor.scalar_type();
      ++next;
    });
    if (!alike || next != eager.drawn.size()) return false;
    next = 0;
    instruction.for_each_written([&](const at::Tensor& tensor) { at::Tensor(tensor).copy_(eager.drawn[next++]); });
    return true;
  }

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
      run_without_drawing(instruction);
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
    const c10::IValue& value = eager_.operators()[i].arguments[k];
    if (value.isGenerator()) {
      return {now.name,
              now.name + " is given another generator (seed " + std::to_string(value.toGenerator().current_seed()) +
                  ") than when it was recorded, from which a replay would go on drawing: keep one generator in the "
                  "model, and seed it in a hook"};
    }
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
/// differs; then the state is that after the eager step. Generators are drawn from once, by `step()`: the replay is given
/// its numbers. What `step()` counts on the host counts on by one either way.
template <class Step>
std::optional<FrozenDifference> verify(const Tape& tape, const FrozenState& named, Step&& step) {
  const bool with_gradients = c10::GradMode::is_enabled();
  const c10::NoGradGuard no_grad;
  detail::Comparison::bring_gradients_back(tape);
  const FrozenState state = detail::Comparison::with_lasting(tape, named);
  const detail::StateCopy before(state);
  auto eager = detail::Recorder::for_comparison();
  detail::Comparison::trace_generators(tape, eager);
  at::Tensor result;
  {
    const c10::AutoGradMode as_the_caller_has_it(with_gradients);
    const detail::Listening listening(eager);
    result = detail::result_of(step);
  }
  eager.trace()->end();
  const detail::StateCopy expected(state, result);
  before.restore(state);
  const detail::Comparison comparison(tape, eager);
  comparison.replay();
  const detail::StateCopy replayed(state, tape.result());
  const std::string tensor = detail::StateCopy::first_difference(state, expected, replayed);
  if (tensor.empty()) {
    // What it writes this time; another call would tell in the next step.
    if (const auto other = comparison.first_other_operator()) {
      expected.restore(state);
      return FrozenDifference{"the operators that it calls", other->first, other->second};
    }
    const auto& moved = eager.trace()->moved();
    if (!moved) return std::nullopt;
    return FrozenDifference{moved->generator, moved->operator_name, moved->reason, moved->is_default};
  }
  before.restore(state);
  const auto where = comparison.first_difference();
  expected.restore(state);
  if (!where) return FrozenDifference{tensor, "", "all operators give the same values, so something beside them writes it"};
  return FrozenDifference{tensor, where->first, where->second};
}

}  // namespace fulgurite
