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
#include <ATen/ops/_softmax_backward_data_ops.h>
#include <ATen/ops/_softmax_ops.h>
#include <ATen/ops/add_ops.h>
#include <ATen/ops/addmm_ops.h>
#include <ATen/ops/bmm_ops.h>
#include <ATen/ops/clamp_min_ops.h>
#include <ATen/ops/copy_ops.h>
#include <ATen/ops/div_ops.h>
#include <ATen/ops/fill_ops.h>
#include <ATen/ops/gelu_backward_ops.h>
#include <ATen/ops/gelu_ops.h>
#include <ATen/ops/linalg_vector_norm_ops.h>
#include <ATen/ops/mean_ops.h>
#include <ATen/ops/mm_ops.h>
#include <ATen/ops/mse_loss_backward_ops.h>
#include <ATen/ops/mse_loss_ops.h>
#include <ATen/ops/mul_ops.h>
#include <ATen/ops/nll_loss_backward_ops.h>
#include <ATen/ops/nll_loss_forward_ops.h>
#include <ATen/ops/sigmoid_backward_ops.h>
#include <ATen/ops/sigmoid_ops.h>
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

template <class Operator, class Schema = typename Operator::schema>
class TypedCall;

template <class Operator, class Result, class... Parameters>
class TypedCall<Operator, Result(Parameters...)> : public Call {
 public:
  explicit TypedCall(const std::vector<c10::IValue>& values)
      : TypedCall(values, std::index_sequence_for<Parameters...>()) {}

  void run() override {
    std::apply([](auto&... kept) { Operator::redispatch(cpu_keys, Kept<Parameters>::pass(kept)...); }, arguments_);
  }

 private:
  template <std::size_t... I>
  TypedCall(const std::vector<c10::IValue>& values, std::index_sequence<I...>)
      : arguments_(Kept<Parameters>::read(values[I])...) {}

  std::tuple<typename Kept<Parameters>::type...> arguments_;
};

template <class... Operators>
std::unique_ptr<Call> first_typed_call(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) {
  std::unique_ptr<Call> call;
  const auto attempt = [&]<class Operator>() {
    if (schema.overload_name() != Operator::overload_name || schema.name() != Operator::name) return false;
    call = std::make_unique<TypedCall<Operator>>(arguments);
    return true;
  };
  static_cast<void>((attempt.template operator()<Operators>() || ...));
  return call;
}

/// The call of one of the operators below; nullptr for any other, and for tensors that are not plain.
inline std::unique_ptr<Call> typed_call(const c10::FunctionSchema& schema, const std::vector<c10::IValue>& arguments) {
  using namespace at::_ops;
  if (!is_plain(arguments)) return nullptr;
  return first_typed_call<addmm_out, mm_out, bmm_out, add_out, add__Tensor, sub_out, sub__Tensor, mul_out, mul__Tensor,
                          div_out, div__Tensor, clamp_min_out, clamp_min_, threshold_backward_grad_input, gelu_out,
                          gelu_backward_grad_input, sigmoid_out, sigmoid_backward_grad_input, tanh_out,
                          tanh_backward_grad_input, _log_softmax_out, _log_softmax_backward_data_out, _softmax_out,
                          _softmax_backward_data_out, nll_loss_forward_output, nll_loss_backward_grad_input, mse_loss_out,
                          mse_loss_backward_grad_input, sum_IntList_out, mean_out, linalg_vector_norm_out, stack_out, copy_,
                          fill__Scalar, zero_, _fused_adam__tensor_lr, _fused_adamw__tensor_lr, _fused_sgd__tensor_lr>(
      schema, arguments);
}

}  // namespace fulgurite::detail
