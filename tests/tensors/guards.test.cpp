// SPDX-License-Identifier: MIT
#include <fulgurite/tensors/guards.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("a validation leaves every generator and every module's mode as they were") {
  torch::nn::Sequential model{torch::nn::Linear(1, 1), torch::nn::Dropout()};
  model->children()[1]->eval();
  const std::vector<at::Generator> generators{at::detail::createCPUGenerator(1), at::detail::createCPUGenerator(2)};
  std::vector<torch::Tensor> before;
  for (const auto& generator : generators) before.push_back(generator.get_state());
  {
    const fg::EvaluationGuard guard(*model, generators);
    CHECK_FALSE(model->is_training());
    CHECK_FALSE(at::GradMode::is_enabled());
    for (const auto& generator : generators) torch::rand({3}, generator);
  }
  CHECK(model->is_training());
  CHECK_FALSE(model->children()[1]->is_training());
  CHECK(at::GradMode::is_enabled());
  model->eval();
  { const fg::EvaluationGuard guard(*model, generators); }
  CHECK_FALSE(model->is_training());
  for (std::size_t i = 0; i < generators.size(); ++i) CHECK(generators[i].get_state().equal(before[i]));
}

TEST_CASE("autocast keeps a parameter that it has cast up to the end of the outermost scope, and no longer") {
  const auto weight = torch::ones({2}, torch::requires_grad());
  const auto cast = [&] { return at::autocast::cached_cast(at::kBFloat16, weight, at::kCPU); };
  {
    const fg::AutocastGuard on(at::kCPU, at::kBFloat16, true);
    const auto first = cast();
    { const fg::AutocastGuard off(at::kCPU, at::kBFloat16, false); }
    CHECK(cast().is_same(first));
  }
  {
    const torch::NoGradGuard no_grad;
    weight.fill_(2.0);
  }
  const fg::AutocastGuard on(at::kCPU, at::kBFloat16, true);
  CHECK(cast()[0].item<double>() == 2.0);
}

TEST_CASE("autocast ends with its scope, also inside of another") {
  {
    const fg::AutocastGuard on(at::kCPU, at::kBFloat16, true);
    CHECK(at::autocast::is_autocast_enabled(at::kCPU));
    {
      const fg::AutocastGuard off(at::kCPU, at::kBFloat16, false);
      CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
    }
    CHECK(at::autocast::is_autocast_enabled(at::kCPU));
    { const fg::AutocastGuard half(at::kCPU, at::kHalf, true); }
    CHECK(at::autocast::get_autocast_dtype(at::kCPU) == at::kBFloat16);
  }
  CHECK_FALSE(at::autocast::is_autocast_enabled(at::kCPU));
}
