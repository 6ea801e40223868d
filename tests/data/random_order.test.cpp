// SPDX-License-Identifier: MIT
// The shuffled order: a permutation, the same everywhere, and fair.
#include <fulgurite/data/random_order.hpp>

#include <algorithm>
#include <cstdint>
#include <map>
#include <vector>

#include <catch2/catch_test_macros.hpp>

using fulgurite::data::random_order;
using Indices = std::vector<std::int64_t>;

TEST_CASE("a random order is a permutation") {
  for (std::int64_t count : {0, 1, 2, 3, 10, 1000}) {
    auto order = random_order(count, 7);
    REQUIRE(std::ssize(order) == count);
    std::sort(order.begin(), order.end());
    for (std::int64_t i = 0; i < count; ++i) REQUIRE(order[static_cast<std::size_t>(i)] == i);
  }
}

TEST_CASE("a random order is a function of seed and epoch") {
  CHECK(random_order(100, 7, 3) == random_order(100, 7, 3));
  CHECK(random_order(100, 7, 3) != random_order(100, 7, 4));
  CHECK(random_order(100, 7, 3) != random_order(100, 8, 3));
  CHECK(random_order(100, 7, 3) != random_order(100, 8, 2));  // neighbours that add up alike
}

TEST_CASE("a random order is the same on every machine, for ever") {
  CHECK(random_order(10, 0) == Indices{3, 8, 6, 0, 1, 9, 5, 7, 4, 2});
  CHECK(random_order(10, 7, 1) == Indices{3, 4, 0, 7, 2, 1, 6, 5, 9, 8});
}

TEST_CASE("the generator is SplitMix64") {  // the reference numbers for the state 1234567
  fulgurite::data::detail::SplitMix64 random{1234567};
  CHECK(random() == 6457827717110365317U);
  CHECK(random() == 3203168211198807973U);
  CHECK(random() == 9817491932198370423U);
}

TEST_CASE("every permutation is equally likely") {
  std::map<Indices, int> found;
  constexpr int draws = 24'000;
  for (int epoch = 0; epoch < draws; ++epoch) ++found[random_order(4, 1, epoch)];
  REQUIRE(found.size() == 24);
  double chi_squared = 0;
  for (const auto& [order, times] : found) chi_squared += (times - 1000.0) * (times - 1000.0) / 1000.0;
  CHECK(chi_squared < 49.7);  // 23 degrees of freedom: beyond that once in a thousand
}
