// SPDX-License-Identifier: MIT
// A loop of our own gives the bits of the operator that it stands for, or is not taken.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fulgurite/frozen/detail/fingerprint.hpp>
#include <fulgurite/frozen/detail/own_calls.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

namespace {

using fulgurite::detail::Call;
using fulgurite::detail::Instruction;
using fulgurite::detail::own_call;
using fulgurite::detail::same_bits;
using How = Instruction::How;
using Values = std::vector<c10::IValue>;

c10::OperatorHandle find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload);
}

std::unique_ptr<Call> own_with_out(const char* name, const char* overload, Values arguments, const at::Tensor& to) {
  arguments.emplace_back(to);
  return own_call({How::out, 0, find(name, overload), std::move(arguments), {to}});
}

/// Into memory that holds something else before.
void check_with_out(const char* name, const char* overload, const Values& arguments, const at::Tensor& like) {
  const at::Tensor expected = torch::empty_like(like), to = torch::empty_like(like).fill_(7);
  torch::jit::Stack stack = arguments;
  stack.emplace_back(expected);
  find(name, overload).callBoxed(&stack);
  const auto call = own_with_out(name, overload, arguments, to);
  REQUIRE(call);
  for (int time = 0; time < 2; ++time) {
    call->run();
    CHECK(same_bits(to, expected));
  }
}

void check_in_place(const char* name, const char* overload, Values arguments) {
  const at::Tensor before = arguments[0].toTensor().clone();
  const at::Tensor to = arguments[0].toTensor();
  const auto op = find(name, overload);
  torch::jit::Stack stack = arguments;
  op.callBoxed(&stack);
  const at::Tensor expected = to.clone();
  to.copy_(before);
  const auto call = own_call({How::in_place, 0, op, arguments});
  REQUIRE(call);
  call->run();
  CHECK(same_bits(to, expected));
}

void check_making(const char* name, const Values& arguments) {
  const auto op = find(name, "");
  torch::jit::Stack stack = arguments;
  op.callBoxed(&stack);
  const at::Tensor expected = stack[0].toTensor(), to = torch::full_like(expected, 7);
  const auto call = own_call({How::copying, 0, op, arguments, {to}});
  REQUIRE(call);
  for (int time = 0; time < 2; ++time) {
    call->run();
    CHECK(same_bits(to, expected));
  }
}

/// With all that is rounded or compared in a way of its own.
at::Tensor odd_numbers(at::ScalarType format) {
  auto numbers = torch::randn({7, 9}, format);
  const double infinity = std::numeric_limits<double>::infinity();
  const double odd[] = {0.0, -0.0, infinity, -infinity, std::numeric_limits<double>::quiet_NaN(), 1e-40, -1e-320, 1.0};
  for (std::int64_t i = 0; i < 8; ++i) numbers.view({-1})[5 * i + 1] = odd[i];
  return numbers;
}

}  // namespace

TEST_CASE("few numbers are computed as the operators do") {
  const auto format = GENERATE(at::kFloat, at::kDouble);
  const auto a = odd_numbers(format), b = torch::randn({7, 9}, format), number = torch::randn({}, format);
  for (const auto& other : {b, number, torch::zeros({}, format)}) {
    check_with_out("aten::add", "out", {a, other, 1}, a);
    check_with_out("aten::sub", "out", {a, other, 1}, a);
    check_with_out("aten::mul", "out", {a, other}, a);
    check_with_out("aten::div", "out", {a, other}, a);
    check_in_place("aten::add_", "Tensor", {a.clone(), other, 1});
    check_in_place("aten::sub_", "Tensor", {a.clone(), other, 1});
    check_in_place("aten::mul_", "Tensor", {a.clone(), other});
    check_in_place("aten::div_", "Tensor", {a.clone(), other});
  }
  for (const double least : {0.0, -0.0, 0.5}) {
    check_with_out("aten::clamp_min", "out", {a, least}, a);
    check_in_place("aten::clamp_min_", "", {a.clone(), least});
    check_with_out("aten::threshold_backward", "grad_input", {b, a, least}, a);
    check_with_out("aten::threshold_backward", "grad_input", {a, b, least}, a);
  }
  check_with_out("aten::add", "out", {a.t(), b.t(), 1}, a.t());
}

TEST_CASE("an out= variant that the step called itself writes its out= argument") {
  const auto number = torch::tensor(0.5f), x = torch::tensor(3.0f);
  const auto call = own_call({How::in_place, 0, find("aten::mul", "out"), {number, x, x}});
  REQUIRE(call);
  call->run();
  CHECK(x.item<float>() == 1.5f);
  CHECK(number.item<float>() == 0.5f);
}

TEST_CASE("other arithmetic is the operators' own") {
  const auto a = torch::randn({4, 4}), many = torch::randn({100, 100});
  CHECK_FALSE(own_with_out("aten::add", "out", {a, a, 2}, torch::empty_like(a)));
  CHECK_FALSE(own_with_out("aten::add", "out", {a, a.t(), 1}, torch::empty_like(a)));
  CHECK_FALSE(own_with_out("aten::add", "out", {a, torch::randn({4}), 1}, torch::empty_like(a)));
  CHECK_FALSE(own_with_out("aten::add", "out", {a, a.to(torch::kDouble), 1}, torch::empty({4, 4}, torch::kDouble)));
  CHECK_FALSE(own_with_out("aten::mul", "out", {many, many}, torch::empty_like(many)));
  CHECK_FALSE(own_with_out("aten::mul", "out", {a.to(torch::kBFloat16), a.to(torch::kBFloat16)},
                           torch::empty({4, 4}, torch::kBFloat16)));
  CHECK_FALSE(own_with_out("aten::clamp_min", "out", {a, std::numeric_limits<double>::quiet_NaN()}, torch::empty_like(a)));
  CHECK_FALSE(own_with_out("aten::div", "Scalar_mode_out", {a, 2.0, "floor"}, torch::empty_like(a)));
  CHECK_FALSE(own_call({How::in_place, 0, find("aten::div_", "Scalar_mode"), {a, 2.0, "floor"}}));
}

TEST_CASE("tensors are stacked in any layout") {
  const auto dimension = GENERATE(0, 1, 2);
  const auto a = torch::randn({3, 4}), b = torch::randn({4, 3}).t(), c = torch::randn({3, 8}).slice(1, 0, 8, 2);
  check_with_out("aten::stack", "out", {std::vector{a, b, c}, dimension}, torch::stack({a, b, c}, dimension));
  const auto numbers = std::vector{torch::randn({}), torch::randn({})};
  if (dimension == 0) check_with_out("aten::stack", "out", {numbers, 0}, torch::stack(numbers));
}

TEST_CASE("a bias is under the product") {
  const auto bias = torch::randn({5}), x = torch::randn({6, 4}), weight = torch::randn({5, 4});
  check_with_out("aten::addmm", "out", {bias, x, weight.t(), 1, 1}, torch::empty({6, 5}));
  check_with_out("aten::addmm", "out", {bias, x, weight.t(), 2, 0.5}, torch::empty({6, 5}));
  CHECK_FALSE(own_with_out("aten::addmm", "out", {bias, x, weight.t(), 0, 1}, torch::empty({6, 5})));
  CHECK_FALSE(own_with_out("aten::addmm", "out", {torch::randn({6, 5}), x, weight.t(), 1, 1}, torch::empty({6, 5})));
}

TEST_CASE("gradients of max pooling go where the maximum was, in any layout") {
  const auto format = GENERATE(at::kFloat, at::kDouble);
  const auto last = at::MemoryFormat::ChannelsLast;
  const auto kernel = std::vector<std::int64_t>{3, 2}, padding = std::vector<std::int64_t>{1, 0};
  const auto stride = GENERATE(std::vector<std::int64_t>{1, 1}, std::vector<std::int64_t>{3, 2});
  const auto one = std::vector<std::int64_t>{1, 1};
  const auto channels = GENERATE(1, 5);
  for (const bool from_last : {false, true}) {
    auto x = torch::randn({2, channels, 7, 6}, format);
    if (from_last) x = x.contiguous(last);
    const auto [pooled, places] = torch::max_pool2d_with_indices(x, kernel, stride, padding, one, false);
    const auto gradient = torch::randn(pooled.sizes(), format);
    for (const auto& g : {gradient, gradient.contiguous(last)}) {
      check_with_out("aten::max_pool2d_with_indices_backward", "grad_input",
                     {g, x, kernel, stride, padding, one, false, places}, x);
    }
  }
}

TEST_CASE("rows of a table and their gradients") {
  const auto format = GENERATE(at::kFloat, at::kDouble);
  const auto table = torch::randn({6, 5}, format);
  const auto indices = torch::tensor({3, 0, 3, 5, 1, 3}, torch::kLong).view({2, 3});
  check_making("aten::embedding", {table, indices, -1, false, false});
  const auto gradient = torch::randn({2, 3, 5}, format);
  for (const int padding : {-1, 3}) check_making("aten::embedding_dense_backward", {gradient, indices, 6, padding, false});

  const auto to = torch::empty({2, 3, 5}, format);
  const auto call = own_call({How::copying, 0, find("aten::embedding", ""), {table, indices, -1, false, false}, {to}});
  indices[0][0] = 6;
  CHECK_THROWS_AS(call->run(), c10::Error);
  indices[0][0] = -1;
  CHECK_THROWS_AS(call->run(), c10::Error);
  CHECK_FALSE(own_call({How::copying, 0, find("aten::embedding_dense_backward", ""), {gradient, indices, 6, -1, true},
                        {torch::empty({6, 5}, format)}}));
}

TEST_CASE("the norm of a gradient in any layout") {
  const auto x = torch::randn({8, 3, 5, 5});
  for (const auto& gradient : {x, x.contiguous(at::MemoryFormat::ChannelsLast), x.transpose(0, 3), x[0][0][0]}) {
    for (const double order : {2.0, 1.0, std::numeric_limits<double>::infinity()}) {
      check_with_out("aten::linalg_vector_norm", "out", {gradient, order, {}, false, {}}, torch::empty({}));
    }
  }
}

TEST_CASE("a fused update walks over parameters in the order of their memory") {
  const auto shape = GENERATE(std::vector<std::int64_t>{16, 4, 3, 3}, std::vector<std::int64_t>{2, 16, 3, 3});
  const auto tensor = [&] { return torch::rand(shape).contiguous(at::MemoryFormat::ChannelsLast); };
  const auto whole = [] { return torch::rand({5}); };
  std::vector<at::Tensor> lists[4], expected[4];
  for (auto& list : lists) list = {tensor(), whole()};
  for (std::size_t i = 0; i < 4; ++i) {
    for (const auto& each : lists[i]) expected[i].push_back(each.clone());
  }
  const std::vector<at::Tensor> steps{torch::ones({}), torch::ones({})}, none;
  const auto rate = torch::tensor(0.1);
  const auto op = find("aten::_fused_adamw_", "tensor_lr");
  const auto arguments = [&](const std::vector<at::Tensor>* l) {
    return Values{l[0], l[1], l[2], l[3], none, steps, rate, 0.9, 0.999, 0.01, 1e-8, false, false, {}, {}};
  };
  torch::jit::Stack stack = arguments(expected);
  op.callBoxed(&stack);
  const auto call = own_call({How::in_place, 0, op, arguments(lists)});
  REQUIRE(call);
  call->run();
  for (std::size_t i = 0; i < 4; ++i) {
    for (std::size_t k = 0; k < 2; ++k) CHECK(same_bits(lists[i][k], expected[i][k]));
  }
}

TEST_CASE("a fused update of a parameter that fills no vector at its end is the operator's own") {
  const auto odd = torch::rand({3, 5, 3, 3}).contiguous(at::MemoryFormat::ChannelsLast);
  const std::vector<at::Tensor> list{odd}, none, steps{torch::ones({})};
  const Values arguments{list, list, list, list, none, steps, torch::tensor(0.1), 0.9, 0.999, 0.01, 1e-8, false, false, {}, {}};
  CHECK_FALSE(own_call({How::in_place, 0, find("aten::_fused_adamw_", "tensor_lr"), arguments}));
}
