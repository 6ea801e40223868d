// SPDX-License-Identifier: MIT
#include <fulgurite/checkpoint/weights.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("weights come back as they were saved, and strangers are refused by name") {
  const auto path = std::filesystem::temp_directory_path() / "fulgurite_weights_test.pt";
  torch::nn::LinearImpl saved(3, 2), loaded(3, 2);
  fg::save_weights(saved, path);
  fg::load_weights(loaded, path);
  CHECK(loaded.weight.equal(saved.weight));
  CHECK(loaded.bias.equal(saved.bias));

  std::filesystem::resize_file(path, std::filesystem::file_size(path) / 2);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path), ContainsSubstring("fulgurite_weights_test.pt does not hold the weights"));
  std::filesystem::remove(path);
  CHECK_THROWS_WITH(fg::load_weights(loaded, path), ContainsSubstring("there is no weights file"));
}
