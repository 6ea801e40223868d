// SPDX-License-Identifier: MIT
// The background thread: the same batches in the same order, failures in their place, and a clean end at any
// time.
#include <fulgurite/data/prefetch.hpp>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <range/v3/range/concepts.hpp>
#include <range/v3/range/conversion.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/take.hpp>
#include <range/v3/view/transform.hpp>

namespace data = fulgurite::data;
namespace rv = ranges::views;
using Numbers = std::vector<int>;

namespace {

template <class Range>
Numbers contents(Range&& range) {
  Numbers all;
  for (auto&& number : range) all.push_back(number);
  return all;
}

// Counts 0, 1, 2, …: how far it was pulled, and how often it was begun. Throws instead of `bad`, after a `delay`.
struct Source {
  int count = 1000;
  int bad = -1;
  std::atomic<int> pulled = 0;
  int begun = 0;
  std::int64_t epoch = 0;
  std::chrono::milliseconds delay{0};

  struct Iterator {
    Source* source;
    int at = 0;
    int operator*() const {
      ++source->pulled;
      if (at == source->bad) {
        std::this_thread::sleep_for(source->delay);
        throw std::runtime_error("no batch " + std::to_string(at));
      }
      return at;
    }
    Iterator& operator++() { return ++at, *this; }
    bool operator!=(int) const { return at < source->count; }
  };

  Iterator begin() { return ++begun, Iterator{this}; }
  int end() { return 0; }
  void set_epoch(std::int64_t number) { epoch = number; }
};

}  // namespace

TEST_CASE("prefetched batches come in the same order, at any depth") {
  const auto expected = rv::iota(0, 50) | ranges::to<std::vector>();
  for (int depth : {1, 2, 7, 100}) {
    CHECK(contents(rv::iota(0, 50) | data::prefetch(depth)) == expected);
    Source source{.count = 50};
    CHECK(contents(source | data::prefetch(depth)) == expected);
  }
}

TEST_CASE("no batch and one batch are prefetched") {
  CHECK(contents(Numbers{} | data::prefetch(2)).empty());
  CHECK(contents(Numbers{7} | data::prefetch(2)) == Numbers{7});
  Source none{.count = 0};
  CHECK(contents(none | data::prefetch(2)).empty());
}

TEST_CASE("a prefetched range can be begun again") {
  Source source{.count = 5};
  auto batches = source | data::prefetch(2);
  CHECK(contents(batches) == Numbers{0, 1, 2, 3, 4});
  CHECK(contents(batches) == Numbers{0, 1, 2, 3, 4});
  CHECK(source.begun == 2);
}

TEST_CASE("beginning again ends the walk that still runs") {
  Source source;
  auto batches = source | data::prefetch(2);
  auto first = batches.begin();
  CHECK(*first == 0);
  auto second = batches.begin();
  CHECK(*second == 0);
  CHECK(*first == 0);  // the batch that it holds stays
  ++first;
  CHECK(first == batches.end());
  ++second;
  CHECK(*second == 1);
}

TEST_CASE("the producer works ahead, as far as the depth and no further") {
  Source source;
  auto batches = source | data::prefetch(3);
  auto it = batches.begin();
  const auto settles_at = [&](int expected) {
    for (int tries = 0; tries < 2000 && source.pulled < expected; ++tries) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return source.pulled == expected;
  };
  CHECK(settles_at(3));
  CHECK(*it == 0);  // taken: there is room for one more
  CHECK(settles_at(4));
  ++it;
  CHECK(settles_at(4));
  CHECK(*it == 1);
  CHECK(settles_at(5));
}

TEST_CASE("what the range throws comes after the batches before it, and ends the walk") {
  for (int depth : {1, 4}) {
    Source source{.count = 10, .bad = 3};
    auto batches = source | data::prefetch(depth);
    for (int walk = 0; walk < 2; ++walk) {
      Numbers seen;
      CHECK_THROWS_WITH(
          [&] {
            for (int number : batches) seen.push_back(number);
          }(),
          "no batch 3");
      CHECK(seen == Numbers{0, 1, 2});
    }
  }
}

TEST_CASE("a failure leaves the walk at its end") {
  Source source{.count = 10, .bad = 0};
  auto batches = source | data::prefetch(2);
  auto it = batches.begin();
  CHECK(it != batches.end());
  CHECK_THROWS_AS(*it, std::runtime_error);
  CHECK(it == batches.end());
  ++it;
  CHECK(it == batches.end());
  CHECK_THROWS_WITH(*it, "fulgurite: a prefetched range was read beyond its end");
}

TEST_CASE("a failure that was not looked at is not stepped over") {
  Source source{.count = 10, .bad = 0};
  auto batches = source | data::prefetch(2);
  auto it = batches.begin();
  CHECK_THROWS_AS(++it, std::runtime_error);
}

TEST_CASE("a walk that was ended is at its end, also if it failed before or while it was ended") {
  for (const int delay : {0, 30}) {  // the walk is ended after 20 ms
    Source source{.count = 10, .bad = 0, .delay = std::chrono::milliseconds(delay)};
    auto batches = source | data::prefetch(2);
    auto it = batches.begin();
    while (source.pulled == 0) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    data::begin_epoch(batches, 1);
    CHECK(it == batches.end());
  }
}

TEST_CASE("looking ahead, the batch before a failure is still visited") {
  Source source{.count = 10, .bad = 3};
  Numbers seen;
  CHECK_THROWS_AS(data::for_each_batch(source | data::prefetch(2),
                                       [&](int number, bool) {
                                         seen.push_back(number);
                                         return true;
                                       }),
                  std::runtime_error);
  CHECK(seen == Numbers{0, 1, 2});
}

TEST_CASE("a walk may be left at any time") {
  for (int batches_taken = 0; batches_taken < 5; ++batches_taken) {
    Source source;
    int taken = 0;
    for (int number : source | data::prefetch(2)) {
      if (taken++ == batches_taken) break;
      static_cast<void>(number);
    }
    CHECK(source.pulled <= batches_taken + 4);
  }
  Source untouched;
  static_cast<void>((untouched | data::prefetch(2)).begin());
  static_cast<void>(untouched | data::prefetch(2));
  CHECK(untouched.begun == 1);
}

TEST_CASE("an iterator outlives its view") {
  auto it = std::optional((Numbers{1, 2, 3} | data::prefetch(1)).begin());
  CHECK(**it == 1);
  ++*it;
  CHECK(**it == 2);
  it.reset();
}

TEST_CASE("batches are made on another thread, the range is begun on this one") {
  std::atomic<bool> elsewhere = false;
  const auto here = std::this_thread::get_id();
  const auto note = [&](int number) {
    elsewhere = std::this_thread::get_id() != here;
    return number;
  };
  CHECK(contents(rv::iota(1, 2) | rv::transform(note) | data::prefetch(1)) == Numbers{1});
  CHECK(elsewhere);
}

TEST_CASE("a known size is passed on, an unknown one is not") {
  Numbers numbers{1, 2, 3};
  auto sized = numbers | data::prefetch(2);
  CHECK(data::batch_count(sized) == 3);
  Source source;
  auto unsized = source | data::prefetch(2);
  STATIC_CHECK(!data::SizedBatches<decltype(unsized)>);
  STATIC_CHECK(data::Batches<decltype(unsized)> && !data::MultiPassBatches<decltype(unsized)>);
}

TEST_CASE("a prefetched range is a view to range-v3") {
  auto batches = Numbers{1, 2, 3, 4} | data::prefetch(2);
  STATIC_CHECK(ranges::view_<decltype(batches)> && ranges::input_range<decltype(batches)>);
  const auto is_even = [](int n) { return n % 2 == 0; };
  CHECK(contents(batches | rv::filter(is_even) | rv::take(1)) == Numbers{2});
}

TEST_CASE("batches that cannot be copied are prefetched") {
  const auto boxed = [](int number) { return std::make_unique<int>(number); };
  int total = 0;
  for (auto& box : rv::iota(0, 5) | rv::transform(boxed) | data::prefetch(2)) total += *box;
  CHECK(total == 10);
}

TEST_CASE("what the range refers to stays intact") {
  std::vector<std::string> words{"a rather long word that is not stored in place", "b"};
  for (auto& word : words | data::prefetch(2)) word.clear();  // the consumer's own copy
  CHECK(words.front().size() > 10);
}

TEST_CASE("a new epoch ends the walk that still runs and is passed on") {
  Source source;
  auto batches = source | data::prefetch(2);
  auto it = batches.begin();
  data::begin_epoch(batches, 3);
  CHECK(source.epoch == 3);
  CHECK(it == batches.end());
  CHECK(*batches.begin() == 0);
}

TEST_CASE("a depth below one is refused by name") {
  CHECK_THROWS_WITH(data::prefetch(0),
                    "fulgurite: prefetch keeps at least one batch ready, but its depth is 0");
}
