// SPDX-License-Identifier: MIT
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/data/example.hpp>
#include <fulgurite/frozen/batch_signature.hpp>

#include <unordered_map>
#include <vector>

namespace fg = fulgurite;

TEST_CASE("a signature is shapes, formats and layouts, not values") {
  const auto x = torch::randn({4, 3});
  const auto y = torch::randint(3, {4});
  const fg::BatchSignature signature(fg::Example{x, y});
  CHECK(signature == fg::BatchSignature(fg::Example{x + 1, y}));
  CHECK(signature.hash() == fg::BatchSignature(fg::Example{x + 1, y}).hash());
  CHECK_FALSE(signature == fg::BatchSignature(fg::Example{x.slice(0, 0, 3), y.slice(0, 0, 3)}));
  CHECK_FALSE(signature == fg::BatchSignature(fg::Example{x.to(torch::kDouble), y}));
  CHECK_FALSE(signature == fg::BatchSignature(fg::Example{x.t().contiguous().t(), y}));
  CHECK_FALSE(signature == fg::BatchSignature(fg::Example{x, torch::Tensor()}));
}

TEST_CASE("training and evaluation are different signatures") {
  const auto x = torch::randn({4, 3});
  CHECK_FALSE(fg::BatchSignature(x, true) == fg::BatchSignature(x, false));
}

TEST_CASE("how tensors are split is part of a signature") {
  using Tensors = std::vector<torch::Tensor>;
  CHECK_FALSE(fg::BatchSignature(Tensors{torch::zeros({2}), torch::zeros({2})}) ==
              fg::BatchSignature(Tensors{torch::zeros({2, 2})}));
}

TEST_CASE("a signature is a key") {
  std::unordered_map<fg::BatchSignature, int> tapes;
  tapes[fg::BatchSignature(torch::zeros({4}))] = 1;
  tapes[fg::BatchSignature(torch::zeros({3}))] = 2;
  CHECK(tapes.at(fg::BatchSignature(torch::ones({4}))) == 1);
}
