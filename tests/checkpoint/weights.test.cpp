// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/weights.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>

#include "support/temporary_folder.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("weights come back as they were saved, and strangers are refused by name") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights.pt";
  torch::nn::LinearImpl saved(3, 2), loaded(3, 2);
  fg::save_weights(saved, path);
  const void* place = loaded.weight.data_ptr();
  fg::load_weights(loaded, path);
  CHECK(loaded.weight.data_ptr() == place);
  CHECK(loaded.weight.equal(saved.weight));
  CHECK(loaded.bias.equal(saved.bias));

  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path), ContainsSubstring("weights.pt does not hold the weights"));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path), ContainsSubstring("there is no weights file"));
}

TEST_CASE("weights of another shape are refused by name, and change nothing") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "weights.pt";
  torch::nn::LinearImpl saved(3, 2), other(4, 2);
  fg::save_weights(saved, path);
  const auto before = other.weight.clone();
  CHECK_THROWS_WITH(fg::load_weights(other, path), ContainsSubstring("weight is [2, 3] there and [2, 4] in the model"));
  CHECK(other.weight.equal(before));
}

TEST_CASE("a folder that does not exist is named before anything is written") {
  torch::nn::LinearImpl model(3, 2);
  CHECK_THROWS_WITH(fg::save_weights(model, "/no/such/folder/weights.pt"),
                    ContainsSubstring("there is no folder /no/such/folder"));
}
