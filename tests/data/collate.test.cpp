// SPDX-License-Identifier: MIT
// What becomes of many examples: tensors, numbers, pairs, and types of one's own.
#include <fulgurite/data/collate.hpp>

#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>

namespace data = fulgurite::data;

namespace robots {

struct Pose {
  at::Tensor image;
  double angle;
};

struct PoseBatch {
  at::Tensor images, angles;
};

PoseBatch collate(std::span<const Pose> poses) {
  return {data::collate(poses, &Pose::image), data::collate(poses, &Pose::angle)};
}

}  // namespace robots

namespace {

template <class Item>
auto collated(const std::vector<Item>& items) {
  return data::collate(std::span<const Item>(items));
}

}  // namespace

static_assert(data::Collatable<at::Tensor> && data::Collatable<int> && data::Collatable<fulgurite::Example>);
static_assert(data::Collatable<std::pair<at::Tensor, int>> && data::Collatable<robots::Pose>);
static_assert(data::Collatable<std::tuple<robots::Pose, std::pair<bool, float>>>);
static_assert(!data::Collatable<std::string> && !data::Collatable<std::pair<int, std::string>>);

TEST_CASE("tensors are stacked") {
  const auto batch = collated(std::vector{at::zeros({2, 3}), at::ones({2, 3})});
  CHECK(batch.sizes() == at::IntArrayRef{2, 2, 3});
  CHECK(batch[1].equal(at::ones({2, 3})));
}

TEST_CASE("tensors that do not stack are refused by their number") {
  CHECK_THROWS_WITH(collated(std::vector{at::zeros({2}), at::zeros({3})}),
                    "fulgurite: the examples of a batch do not fit together: the tensor of example 1 is [3], and that of "
                    "example 0 [2]: bring them to one shape, or write a collate for their type");
  CHECK_THROWS_WITH(collated(std::vector{at::zeros({2}), at::Tensor()}),
                    "fulgurite: the examples of a batch do not fit together: the tensor of example 1 is undefined");
  CHECK_THROWS_AS(collated(std::vector{at::zeros({2}), at::zeros({3})}), std::invalid_argument);
}

TEST_CASE("numbers become a tensor of the dtype that PyTorch gives them") {
  CHECK(collated(std::vector{3, 1, 2}).equal(at::arange(1, 4).index({at::tensor({2, 0, 1})})));
  CHECK(collated(std::vector<std::uint8_t>{255}).item<std::int64_t>() == 255);
  CHECK(collated(std::vector{1}).scalar_type() == at::kLong);
  CHECK(collated(std::vector{1.5F}).scalar_type() == at::kFloat);
  CHECK(collated(std::vector{1.5}).scalar_type() == at::kDouble);
  const bool flags[] = {true, false};
  const auto batch = data::collate(std::span<const bool>(flags));
  CHECK(batch.scalar_type() == at::kBool);
  CHECK(batch[0].item<bool>());
  CHECK_FALSE(batch[1].item<bool>());
}

TEST_CASE("an example becomes an example") {
  const fulgurite::Example batch = collated(
      std::vector<fulgurite::Example>{{at::ones({3}), at::zeros({})}, {at::zeros({3}), at::ones({})}});
  CHECK(batch.data.sizes() == at::IntArrayRef{2, 3});
  CHECK(batch.target.sizes() == at::IntArrayRef{2});
}

TEST_CASE("an example without target becomes one without target") {
  const torch::data::TensorExample batch = collated(std::vector<torch::data::TensorExample>{at::ones({3})});
  CHECK(batch.data.sizes() == at::IntArrayRef{1, 3});
}

TEST_CASE("pairs and tuples become tuples of batches") {
  const auto [image, label] =
      collated(std::vector<std::pair<at::Tensor, int>>{{at::ones({3}), 4}, {at::ones({3}), 5}});
  CHECK(image.sizes() == at::IntArrayRef{2, 3});
  CHECK(label[1].item<std::int64_t>() == 5);

  using Nested = std::tuple<std::pair<int, bool>, float>;
  const auto [inner, number] = collated(std::vector<Nested>{{{1, true}, 0.5F}, {{2, false}, 1.5F}});
  CHECK(std::get<0>(inner)[1].item<std::int64_t>() == 2);
  CHECK(std::get<1>(inner)[0].item<bool>());
  CHECK(number[1].item<float>() == 1.5F);
}

TEST_CASE("a type of one's own is collated by the function beside it, inside of others too") {
  const std::vector<robots::Pose> poses{{at::ones({2}), 0.5}, {at::zeros({2}), 1.5}};
  const robots::PoseBatch batch = collated(poses);
  CHECK(batch.images.sizes() == at::IntArrayRef{2, 2});
  CHECK(batch.angles[1].item<double>() == 1.5);

  const auto [inner, label] =
      collated(std::vector<std::pair<robots::Pose, int>>{{poses[0], 1}, {poses[1], 2}});
  CHECK(inner.angles[0].item<double>() == 0.5);
  CHECK(label[1].item<std::int64_t>() == 2);
}
