// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/gradients.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/clipping.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <cstddef>
#include <limits>
#include <vector>

namespace fg = fulgurite;

namespace {
std::vector<torch::Tensor> with_gradients() {
  torch::manual_seed(2);
  std::vector<torch::Tensor> parameters;
  for (int i = 1; i < 4; ++i) {
    parameters.push_back(torch::zeros({i, 3}, torch::kDouble).requires_grad_());
    parameters.back().mutable_grad() = torch::randn({i, 3}, torch::kDouble);
  }
  parameters.push_back(torch::zeros({2}, torch::kDouble).requires_grad_());  // without gradient
  return parameters;
}
}  // namespace

TEST_CASE("clip_norm is torch::nn::utils::clip_grad_norm_") {
  const double norm_type = GENERATE(1.0, 2.0, 3.0, std::numeric_limits<double>::infinity());
  const double max = GENERATE(0.1, 1.0, 100.0);
  auto ours = with_gradients();
  auto torchs = with_gradients();
  fg::SGD(ours, {}).gradients().clip_norm(max, norm_type);
  torch::nn::utils::clip_grad_norm_(torchs, max, norm_type);
  for (std::size_t i = 0; i < 3; ++i) CHECK(torch::allclose(ours[i].grad(), torchs[i].grad(), 1e-12, 1e-15));
}

TEST_CASE("clip_value is torch::nn::utils::clip_grad_value_") {
  auto ours = with_gradients();
  auto torchs = with_gradients();
  fg::SGD(ours, {}).gradients().clip_value(0.3);
  torch::nn::utils::clip_grad_value_(torchs, 0.3);
  for (std::size_t i = 0; i < 3; ++i) CHECK(ours[i].grad().equal(torchs[i].grad()));
}

TEST_CASE("gradients are clipped at once, and what is added afterwards is not") {
  auto parameter = torch::zeros({4}).requires_grad_();
  auto expected = torch::zeros({4}).requires_grad_();
  parameter.mutable_grad() = torch::full({4}, 3.0f);
  expected.mutable_grad() = torch::full({4}, 3.0f);
  fg::SGD sgd({parameter}, {.lr = 1.0});
  const auto norm = sgd.gradients().clip_norm(0.5, 2.0);
  CHECK(norm.item<float>() == 6.0f);
  torch::nn::utils::clip_grad_norm_(expected, 0.5);
  CHECK(torch::allclose(parameter.grad(), expected.grad(), 1e-6));
  parameter.sum().backward();
  expected.sum().backward();
  sgd.step();
  CHECK(torch::allclose(parameter, -expected.grad(), 1e-6));
  parameter.mutable_grad() = torch::full({4}, 3.0f);
  sgd.step();  // the limit held for one call
  CHECK(torch::allclose(parameter, -expected.grad() - 3.0f, 1e-6));
}

TEST_CASE("every way to clip gives the same bits, and the norm those of LibTorch") {
  const auto type = GENERATE(torch::kFloat, torch::kDouble, torch::kBFloat16);
  const double p = GENERATE(1.0, 2.0, 3.0, std::numeric_limits<double>::infinity());
  torch::manual_seed(7);
  for (int round = 0; round < 20; ++round) {
    std::vector<torch::Tensor> gradients;
    for (int i = 0; i <= round % 5; ++i) gradients.push_back(torch::randn({1 + (13 * round + 7 * i) % 40, 3}).to(type));
    if (round % 2 == 0) gradients.push_back(torch::randn({3, 5}).to(type).t());
    const auto with_these = [&] {
      std::vector<torch::Tensor> parameters;
      for (const auto& gradient : gradients) {
        parameters.push_back(torch::zeros_like(gradient).requires_grad_());
        parameters.back().mutable_grad() = gradient.clone();
      }
      return parameters;
    };
    const auto free = with_these(), plain = with_these(), flat = with_these(), torchs = with_these();
    const double max = round % 3 == 0 ? 1e3 : 0.3;
    const auto of_free = fg::clip_grad_norm_(free, max, p);
    const auto of_plain = fg::SGD(plain, {}).gradients().clip_norm(max, p);
    fg::SGD contiguous(flat, {}, fg::Contiguous{});
    for (std::size_t i = 0; i < flat.size(); ++i) flat[i].mutable_grad() = gradients[i].clone();
    const auto of_flat = contiguous.gradients().clip_norm(max, p);
    const double of_torch = torch::nn::utils::clip_grad_norm_(torchs, max, p);
    CHECK(of_free.item<double>() == of_torch);
    CHECK(of_plain.item<double>() == of_torch);
    CHECK(of_flat.item<double>() == of_torch);
    for (std::size_t i = 0; i < free.size(); ++i) {
      CHECK(plain[i].grad().equal(free[i].grad()));
      CHECK(flat[i].grad().equal(free[i].grad()));
      CHECK(torch::allclose(free[i].grad(), torchs[i].grad(), type == torch::kBFloat16 ? 2e-2 : 1e-6, 1e-30));
    }
  }
}

TEST_CASE("the norm of no gradients is 0, and tensors without elements are allowed") {
  const double p = GENERATE(1.0, 2.0, std::numeric_limits<double>::infinity());
  CHECK(fg::Gradients({}).norm(p).item<double>() == 0.0);
  auto none = torch::zeros({0, 3}).requires_grad_();
  none.mutable_grad() = torch::zeros({0, 3});
  CHECK(fg::Gradients({none.grad()}).norm(p).item<double>() == 0.0);
  CHECK(fg::clip_grad_norm_({none}, 1.0, p).item<double>() == 0.0);
  auto some = torch::zeros({2}).requires_grad_();
  some.mutable_grad() = torch::tensor({3.0f, 4.0f});
  const double expected = p == 1.0 ? 7.0 : p == 2.0 ? 5.0 : 4.0;
  CHECK(fg::clip_grad_norm_({none, some}, 100.0, p).item<double>() == expected);
  fg::clip_grad_value_({none, some}, 3.5);
  CHECK(some.grad().equal(torch::tensor({3.0f, 3.5f})));
}

TEST_CASE("a sparse gradient is measured and clipped by its values, entries of one place added up") {
  const auto embedded = [](bool sparse) {
    torch::manual_seed(4);
    auto table = torch::randn({10, 4}).requires_grad_();
    const auto out = torch::embedding(table, torch::tensor({1, 1, 2, 7}), -1, false, sparse);
    (out * out).sum().backward();
    return table;
  };
  const double p = GENERATE(1.0, 2.0, std::numeric_limits<double>::infinity());
  const auto sparse = embedded(true), dense = embedded(false);
  REQUIRE(sparse.grad().is_sparse());
  REQUIRE_FALSE(sparse.grad().is_coalesced());
  CHECK(torch::allclose(fg::clip_grad_norm_({sparse}, 0.1, p), fg::clip_grad_norm_({dense}, 0.1, p), 1e-6));
  CHECK(sparse.grad().is_sparse());
  CHECK(torch::allclose(sparse.grad().to_dense(), dense.grad(), 1e-6));
  fg::clip_grad_value_({sparse}, 0.01);
  fg::clip_grad_value_({dense}, 0.01);
  CHECK(torch::allclose(sparse.grad().to_dense(), dense.grad(), 1e-6));

  fg::SGD sgd({sparse}, {});
  const auto before = sparse.grad().to_dense();
  CHECK_THROWS_WITH(
      sgd.gradients(),
      "fulgurite: SGD was given a sparse gradient for parameter 0, which its kernel cannot take: use torch::optim::SGD, "
      "or Embedding without .sparse(true)");
  CHECK(sparse.grad().to_dense().equal(before));

  const auto csr = torch::ones({2, 2}).requires_grad_();
  for (const bool to_dense : {true, false}) {
    csr.mutable_grad() = torch::eye(2).to_sparse_csr();
    CHECK_THROWS_WITH(fg::clip_grad_norm_({csr}, 1.0, p),
                      "fulgurite: a gradient of layout SparseCsr can be neither measured nor clipped: make "
                      "it dense, or sparse by coordinates (to_sparse())");
    csr.mutable_grad() = to_dense ? csr.grad().to_dense() : csr.grad().to_sparse();
    CHECK(torch::allclose(fg::clip_grad_norm_({csr}, 1.0, p), torch::eye(2).norm(p)));
  }
}

TEST_CASE("gradients can be scaled, also if there are none") {
  auto parameters = with_gradients();
  const auto before = parameters[0].grad().clone();
  fg::SGD sgd(parameters, {});
  sgd.gradients().scale(0.5);
  CHECK(parameters[0].grad().equal(before * 0.5));
  sgd.zero_grad();
  CHECK_FALSE(parameters[0].grad().defined());
  sgd.gradients().clip_norm(1.0, 2.0);
  sgd.gradients().clip_value(1.0);
  sgd.gradients().scale(2.0);
  CHECK(sgd.gradients().tensors().empty());
}

TEST_CASE("a parameter without gradient is left out, and gradients without a loss scale need no division by one") {
  auto none = torch::zeros({2}).requires_grad_(), some = torch::zeros({2}).requires_grad_();
  some.mutable_grad() = torch::tensor({3.0f, 4.0f});
  CHECK(fg::clip_grad_norm_({none, some}, 10.0).item<float>() == 5.0f);
  fg::clip_grad_value_({none, some}, 3.5);
  fg::Gradients({some.grad()}).unscale();
  CHECK(some.grad().equal(torch::tensor({3.0f, 3.5f})));
  CHECK_FALSE(none.grad().defined());
}

TEST_CASE("a sparse gradient that requires gradients is added up without its graph") {
  auto p = torch::zeros({3}).requires_grad_();
  const auto values = torch::tensor({1.0f, 2.0f}).requires_grad_();
  p.mutable_grad() = torch::sparse_coo_tensor(torch::tensor({{1, 1}}), values * 2.0, {3});
  CHECK(fg::clip_grad_norm_({p}, 10.0).item<float>() == 6.0f);
  CHECK_FALSE(p.grad().requires_grad());
}
