// SPDX-License-Identifier: MIT
// The demo's data: what is in the file, and how it is drawn.
#include "../../examples/digits/digits.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <ATen/ops/bincount.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace fs = std::filesystem;

namespace {

const fs::path digits_csv = fs::path(FULGURITE_SOURCE_DIR) / "examples" / "data" / "digits.csv";

}  // namespace

TEST_CASE("the digits are 1797 images from 0 to 1 with their labels") {
  const auto dataset = digits::load(digits_csv);
  CHECK(dataset.inputs().sizes() == at::IntArrayRef{1797, 1, 8, 8});
  CHECK(dataset.inputs().scalar_type() == at::kFloat);
  CHECK(dataset.inputs().min().item<float>() == 0.0F);
  CHECK(dataset.inputs().max().item<float>() == 1.0F);
  CHECK(dataset.targets().scalar_type() == at::kLong);
  CHECK(at::bincount(dataset.targets()).equal(at::tensor({178, 182, 177, 183, 181, 182, 181, 179, 174, 180}).to(at::kLong)));
}

TEST_CASE("a digits file that is cut short is refused") {
  const auto copy = fs::temp_directory_path() / "fulgurite_digits_test.csv";
  fs::copy_file(digits_csv, copy, fs::copy_options::overwrite_existing);
  fs::resize_file(copy, 100'000);
  CHECK_THROWS_WITH(digits::load(copy), Catch::Matchers::ContainsSubstring("the file is cut short"));
  fs::remove(copy);
}

TEST_CASE("the digits are split into three parts, the same for every run") {
  const auto parts = digits::split(digits::load(digits_csv));
  CHECK(parts.train.size() == 1258);
  CHECK(parts.validation.size() == 269);
  CHECK(parts.test.size() == 270);
  CHECK(digits::split(digits::load(digits_csv)).test.inputs().equal(parts.test.inputs()));
}

TEST_CASE("digits are drawn side by side with what was predicted") {
  auto images = at::zeros({2, 1, 8, 8});
  images[0][0][0][0] = 1.0;
  images[1][0][7][7] = 0.5;
  std::ostringstream out;
  digits::draw(out, images, at::tensor({3, 4}), at::tensor({3, 9}));
  const std::string drawn = out.str();
  CHECK(drawn.starts_with("██"));
  CHECK_THAT(drawn, Catch::Matchers::ContainsSubstring("▒▒"));
  CHECK_THAT(drawn, Catch::Matchers::ContainsSubstring("says 3             says 4, is 9"));
}

TEST_CASE("a confusion matrix counts labels by row and predictions by column") {
  const auto matrix = digits::confusion_matrix(at::tensor({3, 4, 4}), at::tensor({3, 9, 9}));
  CHECK(matrix.sum().item<std::int64_t>() == 3);
  CHECK(matrix[3][3].item<std::int64_t>() == 1);
  CHECK(matrix[9][4].item<std::int64_t>() == 2);
  std::ostringstream out;
  digits::print_confusion_matrix(out, matrix);
  CHECK_THAT(out.str(), Catch::Matchers::ContainsSubstring("           9    .    .    .    .    2"));
}
