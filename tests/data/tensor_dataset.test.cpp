// SPDX-License-Identifier: MIT
// Two tensors as a range of examples.
#include <fulgurite/data/tensor_dataset.hpp>

#include <iterator>
#include <stdexcept>

#include <ATen/ops/arange.h>
#include <ATen/ops/equal.h>
#include <ATen/ops/zeros.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <range/v3/range/concepts.hpp>

#include <fulgurite/concepts/batches.hpp>

using fulgurite::data::TensorDataset;

static_assert(std::random_access_iterator<TensorDataset::iterator>);
static_assert(ranges::view_<TensorDataset> && ranges::random_access_range<const TensorDataset>);
static_assert(ranges::sized_range<TensorDataset> && ranges::common_range<TensorDataset>);
static_assert(std::same_as<fulgurite::data::BatchOf<TensorDataset>, fulgurite::Example>);

TEST_CASE("a tensor data set is a range of its rows") {
  const TensorDataset dataset{at::arange(6).reshape({3, 2}), at::arange(3)};
  REQUIRE(dataset.size() == 3);
  std::int64_t row = 0;
  for (const fulgurite::Example& example : dataset) {
    CHECK(at::equal(example.data, dataset.inputs()[row]));
    CHECK(example.target.item<std::int64_t>() == row);
    ++row;
  }
  CHECK(row == 3);
  CHECK(dataset[1].data.data_ptr() == dataset.inputs()[1].data_ptr());  // a view, no copy
}

TEST_CASE("a data set without examples is empty") {
  CHECK(TensorDataset{}.size() == 0);
  CHECK(TensorDataset{}.begin() == TensorDataset{}.end());
  CHECK(TensorDataset{at::zeros({0, 4}), at::zeros({0})}.size() == 0);
}

TEST_CASE("tensors that make no data set are refused by name") {
  const auto three = at::zeros({3, 2}), four = at::zeros({4}), scalar = at::zeros({});
  CHECK_THROWS_WITH(
      (TensorDataset{three, four}),
      "fulgurite: a TensorDataset cannot be made: 3 inputs, but 4 targets: the first dimension of both "
      "counts the examples");
  CHECK_THROWS_WITH(
      (TensorDataset{three, scalar}),
      "fulgurite: a TensorDataset cannot be made: targets are a scalar, without a dimension to count "
      "examples");
  CHECK_THROWS_WITH((TensorDataset{at::Tensor(), four}),
                    "fulgurite: a TensorDataset cannot be made: inputs are an undefined tensor");
  CHECK_THROWS_WITH((TensorDataset{four, at::zeros({4}, at::TensorOptions(at::kMeta))}),
                    "fulgurite: a TensorDataset cannot be made: inputs are on cpu, but targets on meta");
  CHECK_THROWS_AS((TensorDataset{three, four}), std::invalid_argument);
}
