// SPDX-License-Identifier: MIT
#include <fulgurite/optim/clipping.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <limits>
#include <vector>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<torch::Tensor> with_gradients() {
  torch::manual_seed(3);
  std::vector<torch::Tensor> parameters{torch::zeros({2, 3}).requires_grad_(), torch::zeros({4}).requires_grad_(),
                                        torch::zeros({5}).requires_grad_()};  // the last has no gradient
  parameters[0].mutable_grad() = torch::randn({2, 3});
  parameters[1].mutable_grad() = torch::randn({4});
  return parameters;
}

}  // namespace

TEST_CASE("clip_norm_ clips any parameters and returns the norm before") {
  const double norm_type = GENERATE(1.0, 2.0, std::numeric_limits<double>::infinity());
  const auto ours = with_gradients();
  const auto torchs = with_gradients();
  const double before = torch::nn::utils::clip_grad_norm_(torchs, 0.5, norm_type);
  CHECK(std::abs(fg::clip_norm_(ours, 0.5, norm_type).item<double>() - before) < 1e-6);
  for (std::size_t i = 0; i < 2; ++i) CHECK(torch::allclose(ours[i].grad(), torchs[i].grad(), 1e-6));
  CHECK_FALSE(ours[2].grad().defined());
}

TEST_CASE("clip_value_ clamps any parameters") {
  const auto ours = with_gradients();
  const auto torchs = with_gradients();
  fg::clip_value_(ours, 0.3);
  torch::nn::utils::clip_grad_value_(torchs, 0.3);
  for (std::size_t i = 0; i < 2; ++i) CHECK(ours[i].grad().equal(torchs[i].grad()));
}

TEST_CASE("a limit of nothing is refused, and no gradients are no error") {
  CHECK_THROWS_WITH(fg::clip_norm_(with_gradients(), 0.0), ContainsSubstring("ClipNorm.max must be above 0"));
  CHECK_THROWS_WITH(fg::clip_value_(with_gradients(), -1.0), ContainsSubstring("ClipValue.max must be above 0"));
  CHECK(fg::clip_norm_({}, 1.0).item<double>() == 0.0);
}
