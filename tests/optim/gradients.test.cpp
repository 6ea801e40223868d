// SPDX-License-Identifier: MIT
#include <fulgurite/optim/gradients.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <limits>

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

TEST_CASE("a folded coefficient moves parameters as a clipped gradient does") {
  auto folded = torch::zeros({4}).requires_grad_();
  auto clipped = torch::zeros({4}).requires_grad_();
  folded.mutable_grad() = torch::full({4}, 3.0f);
  clipped.mutable_grad() = torch::full({4}, 3.0f);
  fg::SGD sgd({folded}, {.lr = 1.0});
  sgd.gradients().clip_norm(0.5, 2.0);
  sgd.step();
  torch::nn::utils::clip_grad_norm_(clipped, 0.5);
  CHECK(torch::allclose(folded, -clipped.grad(), 1e-6));
  folded.mutable_grad() = torch::full({4}, 3.0f);
  sgd.step();  // the coefficient held for one step
  CHECK(torch::allclose(folded, -clipped.grad() - 3.0f, 1e-6));
}

TEST_CASE("gradients can be scaled, and none at all is no error") {
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
