// SPDX-License-Identifier: MIT
// Consecutive examples of any range, collated.
#include <fulgurite/data/batch.hpp>

#include <cstdint>
#include <forward_list>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include <ATen/ops/arange.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/istream.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <fulgurite/data/tensor_dataset.hpp>

namespace data = fulgurite::data;
namespace rv = ranges::views;
using Numbers = std::vector<std::int64_t>;

namespace {

template <class Range>
std::vector<Numbers> contents(Range&& range) {
  std::vector<Numbers> all;
  for (auto&& batch : range) {
    const auto* first = batch.template data_ptr<std::int64_t>();
    all.emplace_back(first, first + batch.numel());
  }
  return all;
}

}  // namespace

TEST_CASE("consecutive elements make a batch") {
  const std::vector<int> numbers{0, 1, 2, 3, 4};
  auto batches = numbers | data::batch(2);
  CHECK(batches.size() == 3);
  CHECK(contents(batches) == std::vector<Numbers>{{0, 1}, {2, 3}, {4}});
  CHECK(contents(batches) == contents(batches));
}

TEST_CASE("a short last batch of any range is dropped on demand") {
  std::vector<int> numbers{0, 1, 2, 3, 4};
  std::istringstream stream("0 1 2 3 4");
  const std::vector<Numbers> expected{{0, 1}, {2, 3}};
  auto sized = numbers | data::batch(2, data::ShortBatch::drop);
  CHECK(sized.size() == 2);
  CHECK(contents(sized) == expected);
  CHECK(contents(std::forward_list<int>{0, 1, 2, 3, 4} | data::batch(2, data::ShortBatch::drop)) == expected);
  CHECK(contents(ranges::istream<int>(stream) | data::batch(2, data::ShortBatch::drop)) == expected);
}

TEST_CASE("no, one, and just enough elements make no, one, and only full batches") {
  CHECK(contents(Numbers{} | data::batch(2)).empty());
  CHECK(contents(Numbers{7} | data::batch(2)) == std::vector<Numbers>{{7}});
  CHECK(contents(Numbers{7, 8} | data::batch(2)) == std::vector<Numbers>{{7, 8}});
  CHECK(contents(std::forward_list<int>{} | data::batch(2)).empty());
  CHECK(contents(std::forward_list<int>{7, 8} | data::batch(2)) == std::vector<Numbers>{{7, 8}});
  std::istringstream nothing, two("7 8");
  CHECK(contents(ranges::istream<int>(nothing) | data::batch(2)).empty());
  CHECK(contents(ranges::istream<int>(two) | data::batch(2)) == std::vector<Numbers>{{7, 8}});
}

TEST_CASE("a batch view keeps what its range can do") {
  Numbers numbers{0, 1, 2, 3, 4, 5};
  auto sized = numbers | rv::transform([](auto n) { return 10 * n; }) | data::batch(4);
  STATIC_CHECK(data::SizedBatches<decltype(sized)>);
  STATIC_CHECK(data::MultiPassBatches<decltype(sized)>);
  STATIC_CHECK(ranges::view_<decltype(sized)>);
  STATIC_CHECK(ranges::forward_range<decltype(sized)>);
  CHECK(contents(sized) == std::vector<Numbers>{{0, 10, 20, 30}, {40, 50}});

  auto filtered = numbers | rv::filter([](auto n) { return n % 2 == 0; }) | data::batch(2);
  STATIC_CHECK(!data::SizedBatches<decltype(filtered)>);
  STATIC_CHECK(data::MultiPassBatches<decltype(filtered)>);
  CHECK(contents(filtered) == std::vector<Numbers>{{0, 2}, {4}});
  CHECK(contents(filtered) == std::vector<Numbers>{{0, 2}, {4}});

  std::istringstream stream("0 1 2");
  auto streamed = ranges::istream<int>(stream) | data::batch(2);
  STATIC_CHECK(!data::SizedBatches<decltype(streamed)>);
  STATIC_CHECK(!data::MultiPassBatches<decltype(streamed)>);
  CHECK(contents(streamed) == std::vector<Numbers>{{0, 1}, {2}});
}

TEST_CASE("an endless range makes endless batches") {
  CHECK(contents(rv::iota(0) | data::batch(2) | rv::take(2)) == std::vector<Numbers>{{0, 1}, {2, 3}});
}

TEST_CASE("a single-pass range is pulled no further than the batch at hand") {
  struct Counter {
    int pulled = 0;
    struct Iterator {
      Counter* counter;
      int operator*() const { return ++counter->pulled; }
      Iterator& operator++() { return *this; }
      bool operator!=(int) const { return true; }
    };
    Iterator begin() { return {this}; }
    int end() { return 0; }
  };
  Counter counter;
  auto batches = counter | data::batch(3);
  auto it = batches.begin();
  CHECK(counter.pulled == 3);
  ++it;
  CHECK(counter.pulled == 6);
  CHECK((*it)[0].item<int>() == 4);
}

TEST_CASE("batches of tensors pass through range-v3 and back") {
  const data::TensorDataset dataset{at::arange(10).reshape({5, 2}), at::arange(5)};
  const auto doubled = [](fulgurite::Example example) {
    example.data = example.data * 2;
    return example;
  };
  auto batches = dataset | rv::transform(doubled) | data::batch(2) | rv::transform(doubled);
  CHECK(batches.size() == 3);
  CHECK((*batches.begin()).data.equal(dataset.inputs().narrow(0, 0, 2) * 4));
}

TEST_CASE("a container that is an rvalue lives in the view") {
  auto batches = std::vector<int>{1, 2, 3} | data::batch(2);
  auto copy = batches;
  CHECK(contents(copy) == std::vector<Numbers>{{1, 2}, {3}});
}

TEST_CASE("an epoch passes through a batch view") {
  struct Epochs : Numbers {
    using Numbers::vector;
    std::int64_t epoch = 0;
    void set_epoch(std::int64_t number) { epoch = number; }
  };
  Epochs range{1, 2, 3};
  auto batches = range | rv::transform([](auto n) { return n; }) | data::batch(2);
  data::begin_epoch(batches, 5);
  CHECK(range.epoch == 5);
}

TEST_CASE("a batch of nothing is refused by name") {
  CHECK_THROWS_WITH(data::batch(0), "fulgurite: a batch holds at least one example, but the batch size is 0");
  CHECK_THROWS_AS(data::batch(-3), std::invalid_argument);
}
