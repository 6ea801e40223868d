// SPDX-License-Identifier: MIT
// A random-access range in another order every epoch.
#include <fulgurite/data/shuffle.hpp>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include <ATen/ops/arange.h>
#include <catch2/catch_test_macros.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

#include <fulgurite/data/batch.hpp>
#include <fulgurite/data/prefetch.hpp>
#include <fulgurite/data/tensor_dataset.hpp>

namespace data = fulgurite::data;
namespace rv = ranges::views;
using Numbers = std::vector<std::int64_t>;

namespace {

template <class Range>
Numbers flat(Range&& batches) {
  Numbers all;
  for (auto&& batch : batches) {
    const auto* first = batch.template data_ptr<std::int64_t>();
    all.insert(all.end(), first, first + batch.numel());
  }
  return all;
}

}  // namespace

TEST_CASE("a shuffled range holds the same elements in the order of its seed and epoch") {
  auto shuffled = rv::iota(std::int64_t{0}, std::int64_t{30}) | data::shuffle(7);
  STATIC_CHECK(ranges::view_<decltype(shuffled)>);
  STATIC_CHECK(ranges::random_access_range<decltype(shuffled)>);
  STATIC_CHECK(data::SizedBatches<decltype(shuffled)>);
  CHECK(shuffled.size() == 30);
  CHECK((shuffled | ranges::to<std::vector>()) == data::random_order(30, 7, 0));
  CHECK((shuffled | ranges::to<std::vector>()) == data::random_order(30, 7, 0));
  shuffled.set_epoch(2);
  CHECK((shuffled | ranges::to<std::vector>()) == data::random_order(30, 7, 2));
  shuffled.set_epoch(0);
  CHECK((shuffled | ranges::to<std::vector>()) == data::random_order(30, 7, 0));
}

TEST_CASE("no element and one element are shuffled") {
  CHECK((Numbers{} | data::shuffle(7) | ranges::to<std::vector>()).empty());
  CHECK((Numbers{5} | data::shuffle(7) | ranges::to<std::vector>()) == Numbers{5});
}

TEST_CASE("a shuffled container hands out references and follows its size") {
  std::vector<std::string> words{"a", "b"};
  auto shuffled = words | data::shuffle(7);
  STATIC_CHECK(std::same_as<data::BatchReference<decltype(shuffled)>, std::string&>);
  words.push_back("c");
  auto seen = shuffled | ranges::to<std::vector>();
  std::sort(seen.begin(), seen.end());
  CHECK(seen == words);
}

TEST_CASE("the epoch reaches the shuffle through the views and adaptors around it") {
  const auto same = [](std::int64_t n) { return n; };
  auto batches = rv::iota(std::int64_t{0}, std::int64_t{20}) | data::shuffle(7) | rv::transform(same) |
                 rv::filter([](std::int64_t) { return true; }) | data::batch(8) | rv::take(9) |
                 data::prefetch(2);
  for (std::int64_t epoch : {3, 4}) {
    data::begin_epoch(batches, epoch);
    CHECK(flat(batches) == data::random_order(20, 7, epoch));
    CHECK(flat(batches) == data::random_order(20, 7, epoch));
  }
}

TEST_CASE("a filter follows the epochs, though it remembers its first element") {
  const auto is_even = [](std::int64_t n) { return n % 2 == 0; };
  auto evens = rv::iota(std::int64_t{0}, std::int64_t{20}) | data::shuffle(7) | rv::filter(is_even);
  for (std::int64_t epoch : {0, 1, 2}) {
    CHECK(data::begin_epoch(evens, epoch));
    auto expected = data::random_order(20, 7, epoch);
    std::erase_if(expected, [&](auto n) { return !is_even(n); });
    CHECK((evens | ranges::to<std::vector>()) == expected);
  }
}

TEST_CASE("where a range hides the shuffle, a copy of the shuffled view reaches it") {
  struct Opaque {  // neither set_epoch nor base
    decltype(Numbers{} | data::shuffle(0)) inner;
    auto begin() { return inner.begin(); }
    auto end() { return inner.end(); }
  };
  auto shuffled = Numbers{0, 1, 2, 3, 4, 5, 6, 7} | data::shuffle(7);
  Opaque opaque{shuffled};
  auto batches = opaque | data::batch(3);
  shuffled.set_epoch(5);
  CHECK(flat(batches) == data::random_order(8, 7, 5));
}

TEST_CASE("a walk through a shuffled range keeps its order when another epoch begins") {
  auto shuffled = rv::iota(std::int64_t{0}, std::int64_t{9}) | data::shuffle(7);
  auto it = shuffled.begin();
  shuffled.set_epoch(1);
  CHECK(*it == data::random_order(9, 7, 0).front());
}

TEST_CASE("a tensor data set is shuffled example by example") {
  const data::TensorDataset dataset{at::arange(6) * 10, at::arange(6)};
  auto batches = dataset | data::shuffle(7) | data::batch(6);
  const auto batch = *batches.begin();
  CHECK(batch.data.equal(batch.target * 10));
  CHECK(flat(std::vector{batch.target}) == data::random_order(6, 7, 0));
}
