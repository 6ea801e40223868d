// SPDX-License-Identifier: MIT
// What has to be known about operators and is not written in their schemas.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/enum_tag.h>
#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <cstddef>
#include <ostream>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

namespace fulgurite::detail {

using OperatorNames = std::unordered_set<std::string_view>;

/// "aten::add.Tensor".
inline std::string full_name(const c10::FunctionSchema& schema) {
  return schema.overload_name().empty() ? schema.name() : schema.name() + "." + schema.overload_name();
}

/// Their kernels do nothing but call other operators, which are recorded in their stead.
inline bool is_transparent(const c10::FunctionSchema& schema) {
  static const OperatorNames whole{
      "aten::clone",     "aten::_to_copy", "aten::zeros",     "aten::zeros_like", "aten::ones",     "aten::ones_like",
      "aten::full",      "aten::full_like", "aten::new_zeros", "aten::new_ones",   "aten::new_full", "aten::relu",
      "aten::relu_"};
  static const OperatorNames with_scalar{"aten::add", "aten::add_", "aten::sub", "aten::sub_",
                                         "aten::mul", "aten::mul_", "aten::div", "aten::div_"};
  if (whole.contains(schema.name())) return schema.overload_name().find("out") == std::string::npos;
  if (with_scalar.contains(schema.name())) return schema.overload_name() == "Scalar";
  if (schema.name().starts_with("aten::_foreach_")) {
    // On a CPU a loop over tensors; these two read a tensor of scalars on the host, each time anew.
    return !((schema.name().starts_with("aten::_foreach_addcmul") || schema.name().starts_with("aten::_foreach_addcdiv")) &&
             schema.overload_name() == "Tensor");
  }
  return false;
}

/// They make memory and write nothing into it.
inline bool only_allocates(const c10::FunctionSchema& schema) {
  static const OperatorNames names{"aten::empty",           "aten::empty_like",     "aten::empty_strided", "aten::new_empty",
                                   "aten::new_empty_strided", "aten::empty_permuted", "aten::empty_quantized"};
  return names.contains(schema.name()) && schema.overload_name().find("out") == std::string::npos;
}

/// What they say on the host depends on shapes, formats and addresses only.
inline bool reads_metadata_only(const c10::FunctionSchema& schema) {
  static const OperatorNames names{"aten::is_same_size", "aten::is_pinned",      "aten::result_type", "aten::can_cast",
                                   "aten::_fused_sdp_choice", "aten::is_coalesced", "aten::dense_dim", "aten::sparse_dim",
                                   "aten::_debug_has_internal_overlap", "aten::is_set_to", "aten::is_contiguous",
                                   "aten::_has_compatible_shallow_copy_type", "aten::_use_cudnn_ctc_loss",
                                   "aten::_use_cudnn_rnn_flatten_weight", "aten::size", "aten::stride", "aten::dim",
                                   "aten::numel", "aten::storage_offset"};
  return names.contains(schema.name()) || schema.name().starts_with("aten::sym_");
}

/// The shape of what they make depends on the data that they are given.
inline bool has_shape_from_data(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) {
  static const OperatorNames names{
      "aten::nonzero",       "aten::masked_select",       "aten::_unique",          "aten::_unique2", "aten::unique_dim",
      "aten::unique_consecutive", "aten::unique_dim_consecutive", "aten::bincount", "aten::_pack_padded_sequence"};
  if (names.contains(schema.name())) return true;
  if (schema.name() == "aten::repeat_interleave") return schema.overload_name() == "Tensor";
  if (schema.name() != "aten::index" || schema.overload_name() != "Tensor") return false;
  for (const c10::IValue& index : arguments.at(1).toListRef()) {
    if (!index.isTensor() || !index.toTensor().defined()) continue;
    const at::ScalarType type = index.toTensor().scalar_type();
    if (type == at::kBool || type == at::kByte) return true;
  }
  return false;
}

/// The argument is written, whatever the schema says.
inline bool writes(const c10::FunctionSchema& schema, std::size_t argument) {
  const c10::AliasInfo* alias = schema.arguments()[argument].alias_info();
  if (alias != nullptr && alias->isWrite()) return true;
  static const OperatorNames running_statistics{"aten::native_batch_norm", "aten::batch_norm_update_stats"};
  const std::string& name = schema.arguments()[argument].name();
  return running_statistics.contains(schema.name()) && (name == "running_mean" || name == "running_var");
}

inline bool writes_anything(const c10::FunctionSchema& schema) {
  for (std::size_t i = 0; i < schema.arguments().size(); ++i) {
    if (writes(schema, i)) return true;
  }
  return false;
}

/// The result is a tensor, or a list of tensors, of its own: no argument that is handed back.
inline bool is_fresh(const c10::Argument& result) {
  return result.alias_info() == nullptr || !result.alias_info()->isWrite();
}

inline bool is_random(const c10::OperatorHandle& op) { return op.hasTag(at::Tag::nondeterministic_seeded); }

/// Squeezes, transposes or resizes a tensor in place: a replay finds it as it is afterwards.
inline bool only_changes_metadata(const c10::OperatorHandle& op) { return op.hasTag(at::Tag::inplace_view); }

/// Calls f(tensor) for each defined tensor in a value.
template <class F>
void for_each_tensor_in(const c10::IValue& value, F&& f) {
  if (value.isTensor()) {
    if (value.toTensor().defined()) f(value.toTensor());
  } else if (value.isList()) {
    for (const c10::IValue& element : value.toListRef()) for_each_tensor_in(element, f);
  }
}

inline bool has_tensors(const c10::IValue& value) {
  bool any = false;
  for_each_tensor_in(value, [&](const at::Tensor&) { any = true; });
  return any;
}

/// A value as a listing shows it: tensors by format and shape.
inline void print_value(std::ostream& out, const c10::IValue& value) {
  if (value.isGenerator()) {
    out << "generator at " << static_cast<const void*>(value.toGenerator().unsafeGetGeneratorImpl());
  } else if (value.isTensor()) {
    if (value.toTensor().defined()) {
      out << value.toTensor().scalar_type() << value.toTensor().sizes();
    } else {
      out << "undefined";
    }
  } else if (value.isList()) {
    out << '(';
    const char* separator = "";
    for (const c10::IValue& element : value.toListRef()) print_value(out << std::exchange(separator, ", "), element);
    out << ')';
  } else {
    out << value;
  }
}

}  // namespace fulgurite::detail
