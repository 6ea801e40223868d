// SPDX-License-Identifier: MIT
#include <fulgurite/frozen/batch_signature.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <utility>

namespace fg = fulgurite;

TEST_CASE("batches of the same shapes, formats and layouts have one signature") {
  using Batch = std::pair<torch::Tensor, torch::Tensor>;
  const fg::BatchSignature signature(Batch{torch::zeros({4, 2}), torch::zeros({4}, torch::kLong)});
  const auto same = fg::BatchSignature(Batch{torch::ones({4, 2}), torch::ones({4}, torch::kLong)});
  CHECK(signature == same);
  CHECK(std::hash<fg::BatchSignature>()(signature) == std::hash<fg::BatchSignature>()(same));
  CHECK_FALSE(signature == fg::BatchSignature(Batch{torch::zeros({3, 2}), torch::zeros({3}, torch::kLong)}));
  CHECK_FALSE(signature == fg::BatchSignature(Batch{torch::zeros({4, 2}, torch::kDouble), torch::zeros({4}, torch::kLong)}));
  CHECK_FALSE(signature == fg::BatchSignature(Batch{torch::zeros({2, 4}).t(), torch::zeros({4}, torch::kLong)}));
  CHECK_FALSE(signature == fg::BatchSignature(Batch{torch::zeros({4, 2}), torch::Tensor()}));
}

TEST_CASE("the mode of the model belongs to it") {
  const auto batch = torch::zeros({4, 2});
  CHECK_FALSE(fg::BatchSignature(batch, true) == fg::BatchSignature(batch, false));
}
