// SPDX-License-Identifier: MIT
#include <fulgurite/optim/fused_optimizer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fulgurite/optim/adamw.hpp>

namespace fg = fulgurite;
namespace nn = torch::nn;

TEST_CASE("a sparse gradient is refused by name") {
  nn::Embedding embedding(nn::EmbeddingOptions(4, 2).sparse(true));
  fg::AdamW adamw(embedding->parameters(), {});
  embedding->forward(torch::tensor({1, 2})).sum().backward();
  CHECK_THROWS_WITH(adamw.step(), Catch::Matchers::ContainsSubstring("sparse gradient"));
}

TEST_CASE("bfloat16 parameters are trained in their format") {
  auto p = torch::ones({8}, torch::kBFloat16).requires_grad_();
  fg::AdamW adamw({p}, {.lr = 0.1});
  p.mutable_grad() = torch::ones({8}, torch::kBFloat16);
  adamw.gradients().clip_norm(1.0, 2.0);
  adamw.step();
  CHECK(p.scalar_type() == torch::kBFloat16);
  CHECK(p[0].item<float>() < 0.95f);
}

TEST_CASE("the gradients of a step are free for backward afterwards") {
  auto p = torch::ones({8}).requires_grad_();
  fg::AdamW adamw({p}, {});
  p.mutable_grad() = torch::ones({8});
  const auto gradient = p.grad();
  adamw.step();
  CHECK(gradient.use_count() == 2);  // this variable and the parameter
}
