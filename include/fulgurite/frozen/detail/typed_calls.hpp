// SPDX-License-Identifier: MIT
// The frequent operators, called without boxing: arguments of their own types, the kernel of the CPU at once.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/ivalue.h>
#include <ATen/ops/_fused_adagrad_ops.h>
#include <ATen/ops/_fused_adam_ops.h>
#include <ATen/ops/_fused_adamw_ops.h>
#include <ATen/ops/_fused_sgd_ops.h>
#include <ATen/ops/_log_softmax_backward_data_ops.h>
#include <ATen/ops/_log_softmax_ops.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward_ops.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_ops.h>
#include <ATen/ops/_softmax_backward_data_ops.h>
#include <ATen/ops/_softmax_ops.h>
#include <ATen/ops/add_ops.h>
#include <ATen/ops/addmm_ops.h>
#include <ATen/ops/avg_pool2d_backward_ops.h>
#include <ATen/ops/avg_pool2d_ops.h>
#include <ATen/ops/bmm_ops.h>
#include <ATen/ops/clamp_min_ops.h>
#include <ATen/ops/convolution_backward_ops.h>
#include <ATen/ops/convolution_ops.h>
#include <ATen/ops/copy_ops.h>
#include <ATen/ops/div_ops.h>
#include <ATen/ops/embedding_dense_backward_ops.h>
#include <ATen/ops/embedding_ops.h>
#include <ATen/ops/fill_ops.h>
#include <ATen/ops/gelu_backward_ops.h>
#include <ATen/ops/gelu_ops.h>
#include <ATen/ops/linalg_vector_norm_ops.h>
#include <ATen/ops/max_pool2d_with_indices_backward_ops.h>
#include <ATen/ops/max_pool2d_with_indices_ops.h>
#include <ATen/ops/mean_ops.h>
#include <ATen/ops/mm_ops.h>
#include <ATen/ops/mse_loss_backward_ops.h>
#include <ATen/ops/mse_loss_ops.h>
#include <ATen/ops/mul_ops.h>
#include <ATen/ops/native_batch_norm_backward_ops.h>
#include <ATen/ops/native_batch_norm_ops.h>
#include <ATen/ops/native_dropout_ops.h>
#include <ATen/ops/native_group_norm_backward_ops.h>
#include <ATen/ops/native_group_norm_ops.h>
#include <ATen/ops/native_layer_norm_backward_ops.h>
#include <ATen/ops/native_layer_norm_ops.h>
#include <ATen/ops/nll_loss_backward_ops.h>
#include <ATen/ops/nll_loss_forward_ops.h>
#include <ATen/ops/sigmoid_backward_ops.h>
#include <ATen/ops/sigmoid_ops.h>
#include <ATen/ops/silu_backward_ops.h>
#include <ATen/ops/silu_ops.h>
#include <ATen/ops/stack_ops.h>
#include <ATen/ops/sub_ops.h>
#include <ATen/ops/sum_ops.h>
#include <ATen/ops/tanh_backward_ops.h>
#include <ATen/ops/tanh_ops.h>
#include <ATen/ops/threshold_backward_ops.h>
#include <ATen/ops/zero_ops.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "call.hpp"
#include "operators.hpp"
#include "result_places.hpp"

namespace fulgurite::detail {

/// How an argument of a kernel is kept: `read` it from a recorded value, `pass` it to the kernel.
template <class Parameter>
struct Kept {
  using type = std::remove_cvref_t<Parameter>;
  static type read(const c10::IValue& value) { return value.to<type>(); }
  static Parameter pass(type& kept) { return kept; }
};
template <>
struct Kept<const at::Tensor&> {
  using type = at::Tensor;
  static type read(const c10::IValue& value) { return value.isNone() ? at::Tensor() : value.toTensor(); }
  static const at::Tensor& pass(type& kept) { return kept; }
};
template <>
struct Kept<const at::Scalar&> {
  using type = at::Scalar;
  static type read(const c10::IValue& value) { return value.toScalar(); }
  static const at::Scalar& pass(type& kept) { return kept; }
};
template <>
struct Kept<c10::SymInt> {
  using type = std::int64_t;
  static type read(const c10::IValue& value) { return value.toInt(); }
  static c10::SymInt pass(type& kept) { return c10::SymInt(kept); }
};
template <>
struct Kept<at::IntArrayRef> {
  using type = std::vector<std::int64_t>;
  static type read(const c10::IValue& value) { return value.toIntVector(); }
  static at::IntArrayRef pass(type& kept) { return kept; }
};
template <>
struct Kept<c10::SymIntArrayRef> {
  using type = std::vector<c10::SymInt>;
  static type read(const c10::IValue& value) {
    const auto numbers = value.toIntVector();
    return {numbers.begin(), numbers.end()};
  }
  static c10::SymIntArrayRef pass(type& kept) { return kept; }
};
template <>
struct Kept<at::OptionalSymIntArrayRef> {
  using type = std::optional<std::vector<c10::SymInt>>;
  static type read(const c10::IValue& value) {
    return value.isNone() ? type() : type(Kept<c10::SymIntArrayRef>::read(value));
  }
  static at::OptionalSymIntArrayRef pass(type& kept) {
    return kept ? at::OptionalSymIntArrayRef(c10::SymIntArrayRef(*kept)) : at::OptionalSymIntArrayRef();
  }
};
template <>
struct Kept<at::TensorList> {
  using type = std::vector<at::Tensor>;
  static type read(const c10::IValue& value) { return value.toTensorVector(); }
  static at::TensorList pass(type& kept) { return kept; }
};
template <>
struct Kept<at::OptionalIntArrayRef> {
  using type = std::optional<std::vector<std::int64_t>>;
  static type read(const c10::IValue& value) { return value.isNone() ? type() : type(value.toIntVector()); }
  static at::OptionalIntArrayRef pass(type& kept) {
    return kept ? at::OptionalIntArrayRef(at::IntArrayRef(*kept)) : at::OptionalIntArrayRef();
  }
};
template <>
struct Kept<c10::string_view> {
  using type = std::string;
  static type read(const c10::IValue& value) { return value.toStringRef(); }
  static c10::string_view pass(type& kept) { return kept; }
};

/// The arguments of an operator, each of the type that its kernel takes.
template <class Operator, class Schema = typename Operator::schema>
class KeptArguments;

template <class Operator, class Result, class... Parameters>
class KeptArguments<Operator, Result(Parameters...)> {
 public:
  explicit KeptArguments(const std::vector<c10::IValue>& values)
      : KeptArguments(values, std::index_sequence_for<Parameters...>()) {}

  Result call() {
    return std::apply(
        [](auto&... kept) -> Result { return Operator::redispatch(cpu_keys, Kept<Parameters>::pass(kept)...); },
        arguments_);
  }

 private:
  template <std::size_t... I>
  KeptArguments(const std::vector<c10::IValue>& values, std::index_sequence<I...>)
      : arguments_(Kept<Parameters>::read(values[I])...) {}

  std::tuple<typename Kept<Parameters>::type...> arguments_;
};

/// An operator that writes into its arguments.
template <class Operator>
class TypedCall : public Call {
 public:
  explicit TypedCall(const std::vector<c10::IValue>& arguments) : arguments_(arguments) {}

  void run() override { arguments_.call(); }

 private:
  KeptArguments<Operator> arguments_;
};

/// An operator that makes its results: a tensor or a tuple of tensors.
template <class Operator>
class TypedCopyingCall : public Call {
 public:
  TypedCopyingCall(const std::vector<c10::IValue>& arguments, ResultPlaces places)
      : arguments_(arguments), places_(std::move(places)) {}

  void run() override { take(arguments_.call()); }

 private:
  void take(const at::Tensor& made) const {
    if (places_.wants(0)) places_.take(0, made);
  }
  template <class... Tensors>
  void take(const std::tuple<Tensors...>& made) const {
    take(made, std::index_sequence_for<Tensors...>());
  }
  template <class Tuple, std::size_t... I>
  void take(const Tuple& made, std::index_sequence<I...>) const {
    (static_cast<void>(places_.wants(I) && (places_.take(I, std::get<I>(made)), true)), ...);
  }

  KeptArguments<Operator> arguments_;
  ResultPlaces places_;
};

/// The call `Typed<Operator>` of the one of `Operators` with this schema; nullptr for any other, and for tensors that are
/// not plain.
template <template <class> class Typed, class... Operators, class... Places>
std::unique_ptr<Call> first_typed_call(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments,
                                       const Places&... places) {
  std::unique_ptr<Call> call;
  if (!is_plain(arguments)) return call;
  const auto attempt = [&]<class Operator>() {
    if (schema.overload_name() != Operator::overload_name || schema.name() != Operator::name) return false;
    call = std::make_unique<Typed<Operator>>(arguments, places...);
    return true;
  };
  static_cast<void>((attempt.template operator()<Operators>() || ...));
  return call;
}

/// For operators that write into their arguments.
inline std::unique_ptr<Call> typed_call(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) {
  using namespace at::_ops;
  return first_typed_call<TypedCall, addmm_out, addmm_, mm_out, bmm_out, add_out, add__Tensor, sub_out, sub__Tensor,
                          mul_out, mul__Tensor, div_out, div__Tensor, clamp_min_out, clamp_min_,
                          threshold_backward_grad_input, gelu_out, gelu_backward_grad_input, silu_out,
                          silu_backward_grad_input, sigmoid_out, sigmoid_backward_grad_input, tanh_out,
                          tanh_backward_grad_input, _log_softmax_out, _log_softmax_backward_data_out, _softmax_out,
                          _softmax_backward_data_out, nll_loss_forward_output, nll_loss_backward_grad_input, mse_loss_out,
                          mse_loss_backward_grad_input, max_pool2d_with_indices_out,
                          max_pool2d_with_indices_backward_grad_input, avg_pool2d_out, avg_pool2d_backward_grad_input,
                          native_batch_norm_out, sum_IntList_out, mean_out, linalg_vector_norm_out, stack_out, copy_,
                          fill__Scalar, zero_, _fused_adam__tensor_lr, _fused_adamw__tensor_lr, _fused_sgd__tensor_lr>(
      schema, arguments);
}

/// For those that make their results.
inline std::unique_ptr<Call> typed_copying_call(const c10::FunctionSchema& schema,
                                                const std::vector<c10::IValue>& arguments, const ResultPlaces& places) {
  using namespace at::_ops;
  return first_typed_call<TypedCopyingCall, convolution, convolution_backward, embedding,
                          embedding_dense_backward, native_layer_norm, native_layer_norm_backward, native_group_norm,
                          native_group_norm_backward, native_batch_norm_backward, native_dropout,
                          _scaled_dot_product_flash_attention_for_cpu,
                          _scaled_dot_product_flash_attention_for_cpu_backward>(schema, arguments, places);
}

}  // namespace fulgurite::detail
