// SPDX-License-Identifier: MIT
// Finds the overload of an operator that writes its results where it is told.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/stack.h>
#include <ATen/ops/empty_strided.h>
#include <c10/util/Exception.h>

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "fingerprint.hpp"
#include "operators.hpp"

namespace fulgurite::detail {

/// An overload with `out=` arguments, and its arguments before them.
struct OutVariant {
  c10::OperatorHandle op;
  std::vector<c10::IValue> arguments;
};

/// All overloads by operator.
inline const std::vector<c10::OperatorName>& overloads_of(const std::string& name) {
  static const auto by_name = [] {
    std::unordered_map<std::string, std::vector<c10::OperatorName>> names;
    for (const c10::OperatorName& op : c10::Dispatcher::singleton().getAllOpNames()) {
      if (op.name.starts_with("aten::")) names[op.name].push_back(op);
    }
    return names;
  }();
  static const std::vector<c10::OperatorName> none;
  const auto found = by_name.find(name);
  return found == by_name.end() ? none : found->second;
}

/// What a tensor to write into says itself.
inline bool is_tensor_option(const std::string& argument) {
  return argument == "dtype" || argument == "layout" || argument == "device" || argument == "pin_memory";
}

/// The arguments of `with_out` before its out= arguments, taken from those of `plain`; nothing if it asks for others, or
/// for the same under another type.
inline std::optional<std::vector<c10::IValue>> match_arguments(const c10::FunctionSchema& plain,
                                                               const c10::FunctionSchema& with_out, std::size_t outs,
                                                               const std::vector<c10::IValue>& arguments) {
  const auto& wanted = with_out.arguments();
  const auto& given = plain.arguments();
  if (wanted.size() < outs) return std::nullopt;
  std::vector<c10::IValue> matched;
  std::size_t next = 0;
  for (std::size_t i = 0; i + outs < wanted.size(); ++i) {
    while (next < given.size() && given[next].name() != wanted[i].name() && is_tensor_option(given[next].name())) ++next;
    if (next == given.size() || given[next].name() != wanted[i].name() || *given[next].type() != *wanted[i].type()) {
      return std::nullopt;
    }
    matched.push_back(arguments[next++]);
  }
  while (next < given.size() && is_tensor_option(given[next].name())) ++next;
  if (next != given.size()) return std::nullopt;
  return matched;
}

/// Warnings of a trial are nobody's.
class Quiet {
 public:
  Quiet() : guard_(&handler_) {}

 private:
  struct Handler : c10::WarningHandler {
    void process(const c10::Warning&) override {}
  };
  Handler handler_;
  c10::WarningUtils::WarningHandlerGuard guard_;
};

/// Right after the operator, with its inputs as they were: does the variant write the same bits into memory of the same
/// layout? Some resize what they are given on the way.
inline bool is_exact(const OutVariant& variant, const std::vector<c10::IValue>& results) {
  const Quiet quiet;
  torch::jit::Stack stack(variant.arguments.begin(), variant.arguments.end());
  std::vector<at::Tensor> outs;
  std::vector<std::size_t> bytes;
  for (const c10::IValue& value : results) {
    const at::Tensor& result = value.toTensor();
    outs.push_back(at::empty_strided(result.sizes(), result.strides(), result.options()));
    bytes.push_back(outs.back().storage().nbytes());
    stack.emplace_back(outs.back());
  }
  variant.op.callBoxed(&stack);
  for (std::size_t i = 0; i < outs.size(); ++i) {
    const at::Tensor& result = results[i].toTensor();
    if (outs[i].sizes() != result.sizes() || outs[i].strides() != result.strides() ||
        outs[i].storage().nbytes() != bytes[i] || !same_bits(outs[i], result)) {
      return false;
    }
  }
  return true;
}

inline std::optional<OutVariant> find_out_variant(const c10::OperatorHandle& op, const std::vector<c10::IValue>& arguments) {
  const c10::FunctionSchema& plain = op.schema();
  std::size_t outs = 0;
  for (const c10::Argument& result : plain.returns()) {
    if (!is_fresh(result)) continue;
    if (!result.type()->isSubtypeOf(*c10::TensorType::get())) return std::nullopt;
    ++outs;
  }
  std::optional<OutVariant> best;
  for (const c10::OperatorName& name : overloads_of(plain.name())) {
    const auto candidate = c10::Dispatcher::singleton().findSchema(name);
    if (!candidate) continue;
    const c10::FunctionSchema& schema = candidate->schema();
    std::size_t written = 0;
    for (auto i = schema.arguments().rbegin(); i != schema.arguments().rend() && i->is_out(); ++i) ++written;
    if (written != outs || outs == 0) continue;
    auto matched = match_arguments(plain, schema, outs, arguments);
    if (!matched) continue;
    // Those without a kernel of the backend only call the plain overload and copy what it made.
    const bool direct = candidate->hasKernelForDispatchKey(c10::DispatchKey::CPU);
    if (!best || direct) best = OutVariant{*candidate, std::move(*matched)};
    if (direct) break;
  }
  return best;
}

/// The variant that a replay can use: it writes by itself, and what it writes is right.
inline std::optional<OutVariant> usable_out_variant(const c10::OperatorHandle& op,
                                                    const std::vector<c10::IValue>& arguments,
                                                    const std::vector<c10::IValue>& results) {
  for (std::size_t i = 0; i < results.size(); ++i) {
    if (!is_fresh(op.schema().returns()[i])) return std::nullopt;
    if (!results[i].isTensor() || !results[i].toTensor().defined()) return std::nullopt;
  }
  auto variant = find_out_variant(op, arguments);
  // Without a kernel of the backend a variant calls the plain overload and copies, except for stack's.
  if (!variant || !(variant->op.hasKernelForDispatchKey(c10::DispatchKey::CPU) || op.schema().name() == "aten::stack")) {
    return std::nullopt;
  }
  if (op.schema().name() == "aten::native_batch_norm") return variant;  // a trial would move the running statistics
  if (is_random(op) || writes_anything(op.schema()) || !is_exact(*variant, results)) return std::nullopt;
  return variant;
}

}  // namespace fulgurite::detail
