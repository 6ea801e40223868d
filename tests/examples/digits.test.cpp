// SPDX-License-Identifier: MIT
// The demo's data: what is in the file, and how it is drawn.
#include "../../examples/digits/digits.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>

#include <ATen/ops/bincount.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/zeros.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

namespace fs = std::filesystem;

namespace {

const fs::path digits_csv = fs::path(FULGURITE_SOURCE_DIR) / "examples" / "data" / "digits.csv";

}  // namespace

TEST_CASE("the digits are 1797 images from 0 to 1 with their labels, in three parts") {
  const auto parts = digits::load(digits_csv);
  CHECK(parts.train.size() == 1197);
  CHECK(parts.validation.size() == 300);
  CHECK(parts.test.size() == 300);
  CHECK(parts.train.inputs().sizes() == at::IntArrayRef{1197, 64});
  CHECK(parts.train.inputs().scalar_type() == at::kFloat);
  CHECK(parts.train.inputs().min().item<float>() == 0.0F);
  CHECK(parts.train.inputs().max().item<float>() == 1.0F);
  CHECK(parts.train.targets().scalar_type() == at::kLong);
  const auto labels = at::cat({parts.train.targets(), parts.validation.targets(), parts.test.targets()});
  const auto counts = at::tensor({178, 182, 177, 183, 181, 182, 181, 179, 174, 180}).to(at::kLong);
  CHECK(at::bincount(labels).equal(counts));
}

TEST_CASE("a digits file that is cut short is refused") {
  const auto copy = fs::temp_directory_path() / "fulgurite_digits_test.csv";
  fs::copy_file(digits_csv, copy, fs::copy_options::overwrite_existing);
  fs::resize_file(copy, 100'000);
  CHECK_THROWS_WITH(digits::load(copy), Catch::Matchers::ContainsSubstring("the file is cut short"));
  fs::remove(copy);
}

TEST_CASE("a digits file with a pixel or a label out of its range is refused") {
  std::ifstream original(digits_csv);
  std::string text{std::istreambuf_iterator<char>(original), {}};
  text.replace(text.find(",13,"), 4, ",17,");
  const auto copy = fs::temp_directory_path() / "fulgurite_digits_range_test.csv";
  std::ofstream(copy) << text;
  CHECK_THROWS_WITH(digits::load(copy), Catch::Matchers::ContainsSubstring("a pixel is not in 0"));
  fs::remove(copy);
}

TEST_CASE("the parts are the same for every run, and others for another seed") {
  const auto parts = digits::load(digits_csv);
  CHECK(digits::load(digits_csv).test.inputs().equal(parts.test.inputs()));
  CHECK_FALSE(digits::load(digits_csv, 1).test.inputs().equal(parts.test.inputs()));
}

TEST_CASE("digits are drawn side by side with what was predicted") {
  auto images = at::zeros({2, 64});
  images[0][0] = 1.0;
  images[1][63] = 0.5;
  std::ostringstream out;
  digits::draw(images, at::tensor({3, 4, 5}), at::tensor({3, 9, 5}), out);  // more predictions than images
  const std::string drawn = out.str();
  CHECK(drawn.starts_with("██"));
  CHECK_THAT(drawn, Catch::Matchers::ContainsSubstring("▒▒"));
  CHECK_THAT(drawn, Catch::Matchers::ContainsSubstring("says 3             says 4, is 9"));
}

TEST_CASE("a confusion matrix counts labels by row and predictions by column") {
  const auto predictions = at::tensor({3, 4, 4}), labels = at::tensor({3, 9, 9});
  const auto matrix = digits::confusion_matrix(predictions, labels);
  CHECK(matrix.sum().item<std::int64_t>() == 3);
  CHECK(matrix[3][3].item<std::int64_t>() == 1);
  CHECK(matrix[9][4].item<std::int64_t>() == 2);
  std::ostringstream out;
  digits::print_confusion(predictions, labels, out);
  CHECK_THAT(out.str(), Catch::Matchers::ContainsSubstring("           9    .    .    .    .    2"));
}
