// SPDX-License-Identifier: MIT
// A data set in parts.
#include <fulgurite/data/split.hpp>

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <vector>

#include <ATen/ops/arange.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

namespace data = fulgurite::data;

namespace {

data::TensorDataset dataset_of(std::int64_t examples) {
  return {at::arange(examples) * 10, at::arange(examples)};
}

std::vector<std::int64_t> targets(const data::TensorDataset& dataset) {
  std::vector<std::int64_t> all;
  for (const auto& example : dataset) {
    CHECK(example.data.item<std::int64_t>() == 10 * example.target.item<std::int64_t>());
    all.push_back(example.target.item<std::int64_t>());
  }
  return all;
}

}  // namespace

TEST_CASE("a split deals every example to exactly one part") {
  for (std::int64_t count : {0, 1, 2, 7, 100}) {
    std::vector<std::int64_t> all;
    for (const auto& part : data::split(dataset_of(count), {0.7, 0.15, 0.15}, 3)) {
      const auto examples = targets(part);
      all.insert(all.end(), examples.begin(), examples.end());
    }
    REQUIRE(std::ssize(all) == count);
    std::sort(all.begin(), all.end());
    for (std::int64_t i = 0; i < count; ++i) REQUIRE(all[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("the parts have the sizes that were asked for") {
  const auto [train, validation, test] = data::split(dataset_of(1797), {0.7, 0.15, 0.15}, 0);
  CHECK(train.size() == 1258);
  CHECK(validation.size() == 269);
  CHECK(test.size() == 270);
  const auto [all, none] = data::split(dataset_of(10), {1.0, 0.0}, 0);
  CHECK(all.size() == 10);
  CHECK(none.size() == 0);
}

TEST_CASE("a split is a function of its seed") {
  const auto part = [](std::uint64_t seed) {
    return targets(data::split(dataset_of(40), {0.5, 0.5}, seed)[0]);
  };
  CHECK(part(1) == part(1));
  CHECK(part(1) != part(2));
}

TEST_CASE("invalid fractions are refused by name") {
  CHECK_THROWS_WITH(data::split(dataset_of(4), {0.5, 0.4}, 0), "fulgurite: the fractions of split sum to 0.9 instead of 1");
  CHECK_THROWS_WITH(data::split(dataset_of(4), {1.5, -0.5}, 0), "fulgurite: split cannot take -0.5 of a data set");
  CHECK_THROWS_AS(data::split(dataset_of(4), {0.5, 0.4}, 0), std::invalid_argument);
  CHECK_THROWS_WITH(data::split(data::TensorDataset(), {0.5, 0.5}, 0), "fulgurite: split was given a data set without tensors");
}
