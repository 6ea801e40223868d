// SPDX-License-Identifier: MIT
// From tensors to batches: what is in them, in which order, and that the order holds for an epoch.
#include <fulgurite/data/tensor_batches.hpp>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/rand.h>
#include <ATen/ops/zeros.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/view/take.hpp>

#include <fulgurite/concepts/batches.hpp>

namespace data = fulgurite::data;
using data::TensorBatches;
using data::TensorBatchesOptions;
using Numbers = std::vector<std::int64_t>;

static_assert(std::random_access_iterator<TensorBatches::iterator>);
static_assert(ranges::view_<TensorBatches> && ranges::random_access_range<const TensorBatches>);
static_assert(data::SizedBatches<TensorBatches> && data::MultiPassBatches<TensorBatches>);

namespace {

// The inputs are 10 times the targets, so that a batch tells which examples it holds and whether they still
// belong.
TensorBatches batches_of(std::int64_t examples, TensorBatchesOptions options) {
  return {at::arange(examples) * 10, at::arange(examples), options};
}

Numbers numbers(const at::Tensor& tensor) {
  const auto* first = tensor.data_ptr<std::int64_t>();
  return {first, first + tensor.numel()};
}

template <class Range>
std::vector<Numbers> contents(Range&& range) {
  std::vector<Numbers> all;
  for (auto&& batch : range) {
    CHECK(batch.data.equal(batch.target * 10));
    all.push_back(numbers(batch.target));
  }
  return all;
}

Numbers flat(const std::vector<Numbers>& batches) {
  Numbers all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

}  // namespace

TEST_CASE("in order, batches are slices of the tensors") {
  const auto batches = batches_of(5, {.batch_size = 2});
  CHECK(batches.size() == 3);
  CHECK(contents(batches) == std::vector<Numbers>{{0, 1}, {2, 3}, {4}});
  CHECK(batches[1].data.storage().data() == batches[0].data.storage().data());
}

TEST_CASE("a short last batch is dropped on demand") {
  CHECK(contents(batches_of(5, {.batch_size = 2, .short_batch = data::ShortBatch::drop})) ==
        std::vector<Numbers>{{0, 1}, {2, 3}});
  CHECK(batches_of(5, {.batch_size = 2, .short_batch = data::ShortBatch::drop}).size() == 2);
  CHECK(contents(batches_of(1, {.batch_size = 2, .short_batch = data::ShortBatch::drop})).empty());
}

TEST_CASE("few examples make few batches") {
  for (data::Order order : {data::Order{data::InOrder{}}, data::Order{data::Shuffled{1}}}) {
    CHECK(contents(batches_of(0, {.batch_size = 2, .order = order})).empty());
    CHECK(contents(batches_of(1, {.batch_size = 2, .order = order})) == std::vector<Numbers>{{0}});
    CHECK(contents(batches_of(2, {.batch_size = 1, .order = order})).size() == 2);
  }
  CHECK(contents(TensorBatches{}).empty());
}

TEST_CASE("shuffled, every example comes exactly once an epoch") {
  auto batches = batches_of(100, {.batch_size = 32, .order = data::Shuffled{7}});
  for (std::int64_t epoch : {0, 1, 2}) {
    batches.set_epoch(epoch);
    auto seen = contents(batches);
    REQUIRE(seen.size() == 4);
    CHECK(seen.back().size() == 4);
    auto examples = flat(seen);
    CHECK(examples == data::random_order(100, 7, epoch));
    std::sort(examples.begin(), examples.end());
    Numbers expected(100);
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(examples == expected);
  }
}

TEST_CASE("an epoch has one order, however often it is walked, and comes back with its number") {
  auto batches = batches_of(50, {.batch_size = 8, .order = data::Shuffled{7}});
  const auto first = contents(batches);
  CHECK(contents(batches) == first);
  batches.set_epoch(1);
  const auto second = contents(batches);
  CHECK(second != first);
  CHECK(contents(batches) == second);
  batches.set_epoch(0);
  CHECK(contents(batches) == first);
}

TEST_CASE("the order neither reads nor moves LibTorch's random numbers") {
  auto generator = at::globalContext().defaultGenerator(at::kCPU);
  generator.set_current_seed(1);
  const auto drawn = at::rand({4});
  generator.set_current_seed(1);
  auto batches = batches_of(50, {.batch_size = 8, .order = data::Shuffled{7}});
  batches.set_epoch(1);
  const auto order = contents(batches);
  CHECK(at::rand({4}).equal(drawn));
  batches.set_epoch(1);
  CHECK(contents(batches) == order);
}

TEST_CASE("a walk that has begun keeps its order when another epoch begins") {
  auto batches = batches_of(20, {.batch_size = 20, .order = data::Shuffled{7}});
  const auto order = contents(batches);
  const auto begun = batches.begin();
  batches.set_epoch(1);
  CHECK(numbers((*begun).target) == order.front());
}

TEST_CASE("copies and the views around them hear of a new epoch") {
  auto batches = batches_of(20, {.batch_size = 5, .order = data::Shuffled{7}});
  auto view = batches | ranges::views::take(2);
  data::begin_epoch(view, 3);
  auto order = data::random_order(20, 7, 3);
  CHECK(flat(contents(batches)) == order);
  order.resize(10);
  CHECK(flat(contents(view)) == order);
}

TEST_CASE("a const range hears of a new epoch too") {
  const auto batches = batches_of(50, {.batch_size = 10, .order = data::Shuffled{.seed = 1}});
  const auto first = contents(batches);
  data::begin_epoch(batches, 1);
  CHECK(contents(batches) != first);
  data::begin_epoch(batches, 0);
  CHECK(contents(batches) == first);
}

TEST_CASE("shuffled batches are copies") {
  auto batches = batches_of(4, {.batch_size = 4, .order = data::Shuffled{7}});
  batches[0].data.zero_();
  CHECK(contents(batches).size() == 1);
}

TEST_CASE("images keep their shape and dtype") {
  const TensorBatches batches{
      at::zeros({5, 1, 8, 8}), at::zeros({5}, at::kLong), {.order = data::Shuffled{1}}};
  REQUIRE(batches.size() == 1);
  CHECK(batches[0].data.sizes() == at::IntArrayRef{5, 1, 8, 8});
  CHECK(batches[0].target.scalar_type() == at::kLong);
}

TEST_CASE("batches that cannot be made are refused by name") {
  CHECK_THROWS_WITH(batches_of(5, {.batch_size = 0}),
                    "fulgurite: a batch holds at least one example, but the batch size is 0");
  CHECK_THROWS_AS(batches_of(5, {.batch_size = -1}), std::invalid_argument);
  CHECK_THROWS_AS((TensorBatches{at::zeros({3}), at::zeros({4}), {.batch_size = 2}}), std::invalid_argument);
}
