// SPDX-License-Identifier: MIT
// What counts as a range of batches, and the walk over it. LibTorch's own loaders: batches_of_loaders.test.cpp.
#include <fulgurite/concepts/batches.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <forward_list>
#include <list>
#include <memory>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>
#include <vector>

#include <catch2/catch_test_macros.hpp>
#include <range/v3/view/cycle.hpp>
#include <range/v3/view/drop_while.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/transform.hpp>

namespace data = fulgurite::data;
namespace rv = ranges::views;

namespace {

// A generator: single-pass, its size unknown, its iterator movable only and no std::input_iterator. Counts
// its pulls.
struct Countdown {
  std::int64_t left;
  std::int64_t pulls = 0;

  struct Iterator {
    explicit constexpr Iterator(Countdown* of) : countdown(of) {}
    Iterator(Iterator&&) = default;
    Iterator& operator=(Iterator&&) = default;

    constexpr std::int64_t operator*() const {
      ++countdown->pulls;
      return countdown->left;
    }
    constexpr void operator++() { --countdown->left; }
    constexpr bool operator!=(int) const { return countdown->left > 0; }

    Countdown* countdown;
  };

  constexpr Iterator begin() { return Iterator(this); }
  constexpr int end() { return 0; }
};

// Of two batches, which only the distance between its ends says.
struct Two {
  const int* first;
  const int* begin() const { return first; }
  const int* end() const { return first + 2; }
};

// Shorter than it says.
struct Boastful : std::vector<std::int64_t> {
  using std::vector<std::int64_t>::vector;
  std::size_t size() const { return 9; }
};

// Of known size; counts its steps, and at `throws_at` it throws.
struct Stepping {
  std::int64_t count;
  std::int64_t throws_at = -1;
  std::int64_t steps = 0;

  struct Iterator {
    Stepping* range;
    std::int64_t at;
    std::int64_t operator*() const { return at; }
    void operator++() {
      ++at;
      ++range->steps;
      if (at == range->throws_at) throw std::runtime_error("the range ends here");
    }
    bool operator!=(const Iterator& end) const { return at != end.at; }
  };
  Iterator begin() { return {this, 0}; }
  Iterator end() { return {this, count}; }
  std::int64_t size() const { return count; }
};

struct Unsized {
  Stepping* range;
  Stepping::Iterator begin() { return range->begin(); }
  Stepping::Iterator end() { return range->end(); }
};

struct Visit {
  std::int64_t batch;
  bool is_last;
  friend bool operator==(const Visit&, const Visit&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Visit& visit) {
    return out << visit.batch << (visit.is_last ? " (last)" : "");
  }
};

template <class Range>
std::vector<Visit> visits(Range&& range, std::int64_t limit = data::no_limit) {
  std::vector<Visit> seen;
  const auto visited = data::for_each_batch(range, limit, [&](auto& batch, bool is_last) {
    seen.push_back({static_cast<std::int64_t>(batch), is_last});
    return true;
  });
  CHECK(visited == std::ssize(seen));
  return seen;
}

constexpr auto is_even = [](std::int64_t number) { return number % 2 == 0; };
using Evens = decltype(std::declval<std::vector<std::int64_t>&>() | rv::filter(is_even));

}  // namespace

static_assert(data::Batches<std::vector<int>> && data::SizedBatches<std::vector<int>>);
static_assert(data::Batches<const std::vector<int>&> && data::MultiPassBatches<const std::vector<int>&>);
static_assert(data::Batches<std::array<int, 3>> && data::SizedBatches<std::array<int, 3>&>);
static_assert(data::Batches<int (&)[3]> && data::SizedBatches<int (&)[3]>);
static_assert(data::Batches<std::forward_list<int>> && !data::SizedBatches<std::forward_list<int>>);
static_assert(data::Batches<Evens> && data::MultiPassBatches<Evens> && !data::SizedBatches<Evens>);
static_assert(data::Batches<Countdown> && !data::MultiPassBatches<Countdown> &&
              !data::SizedBatches<Countdown>);
static_assert(!data::Batches<int> && !data::Batches<int*> && !data::Batches<std::optional<int>>);

static_assert(std::same_as<data::BatchReference<const std::vector<int>&>, const int&>);
static_assert(std::same_as<data::BatchOf<const std::vector<int>&>, int>);
static_assert(data::batch_count(std::array{1, 2, 3}) == 3);
static_assert(!data::batch_count(Countdown{3}).has_value());

TEST_CASE("the size of a range is known without consuming it, or not known") {
  int plain[] = {1, 2, 3, 4};
  std::vector<int> numbers{1, 2, 3};
  Countdown countdown{3};
  CHECK(data::batch_count(plain) == 4);
  CHECK(data::batch_count(numbers) == 3);
  CHECK(data::batch_count(std::as_const(numbers)) == 3);
  CHECK(data::batch_count(numbers | rv::transform([](int n) { return 2 * n; })) == 3);
  CHECK(data::batch_count(rv::iota(std::int64_t{2}, std::int64_t{7})) == 5);
  CHECK(data::batch_count(Two{plain + 1}) == 2);
  CHECK_FALSE(data::batch_count(rv::iota(2)).has_value());
  CHECK_FALSE(data::batch_count(numbers | rv::cycle).has_value());
  CHECK_FALSE(data::batch_count(countdown).has_value());
  CHECK(countdown.pulls == 0);
}

TEST_CASE("the last batch is announced, whatever the kind of range") {
  const std::vector<Visit> expected{{6, false}, {4, false}, {2, true}};
  std::vector<std::int64_t> sized{6, 4, 2};
  std::forward_list<std::int64_t> multi_pass{6, 4, 2};
  std::list<std::int64_t> filtered{7, 6, 5, 4, 3, 2, 1};
  std::int64_t plain[] = {6, 4, 2};
  CHECK(visits(sized) == expected);
  CHECK(visits(std::as_const(sized)) == expected);
  CHECK(visits(plain) == expected);
  CHECK(visits(multi_pass) == expected);
  CHECK(visits(filtered | rv::filter(is_even)) == expected);
  CHECK(visits(Countdown{3}) == std::vector<Visit>{{3, false}, {2, false}, {1, true}});
}

TEST_CASE("a range of one batch announces it as the last one") {
  const std::vector<Visit> expected{{1, true}};
  CHECK(visits(std::vector<std::int64_t>{1}) == expected);
  CHECK(visits(std::forward_list<std::int64_t>{1}) == expected);
  CHECK(visits(Countdown{1}) == expected);
}

TEST_CASE("an empty range visits nothing") {
  CHECK(visits(std::vector<std::int64_t>{}).empty());
  CHECK(visits(std::forward_list<std::int64_t>{}).empty());
  CHECK(visits(Countdown{0}).empty());
}

TEST_CASE("a limit makes its own last batch and pulls none beyond it") {
  const std::vector<Visit> expected{{3, false}, {2, true}};
  CHECK(visits(std::vector<std::int64_t>{3, 2, 1}, 2) == expected);
  CHECK(visits(std::forward_list<std::int64_t>{3, 2, 1}, 2) == expected);
  Countdown countdown{3};
  CHECK(visits(countdown, 2) == expected);
  CHECK(countdown.pulls == 2);
  CHECK(countdown.left == 2);  // not even stepped past the second
}

TEST_CASE("a range of known size is not stepped beyond its last batch, nor beyond the limit") {
  for (const std::int64_t limit : {std::int64_t{2}, data::no_limit}) {
    Stepping range{limit == 2 ? 3 : 2};
    CHECK(visits(range, limit) == std::vector<Visit>{{0, false}, {1, true}});
    CHECK(range.steps == 1);
  }
}

TEST_CASE("what a step throws is thrown after the batch before it, unless the range is looked into one batch ahead") {
  std::vector<std::int64_t> seen;
  const auto note = [&](std::int64_t batch, bool) { return seen.push_back(batch), true; };
  CHECK_THROWS_AS(data::for_each_batch(Stepping{.count = 3, .throws_at = 1}, note), std::runtime_error);
  CHECK(seen == std::vector<std::int64_t>{0});
  Stepping unsized{.count = 3, .throws_at = 1};
  CHECK_THROWS_AS(data::for_each_batch(Unsized{&unsized}, note), std::runtime_error);
  CHECK(seen == std::vector<std::int64_t>{0});
}

TEST_CASE("a limit makes an endless range finite") {
  CHECK(visits(rv::iota(std::int64_t{0}), 3) == std::vector<Visit>{{0, false}, {1, false}, {2, true}});
}

TEST_CASE("a limit beyond the end changes nothing, a limit of zero touches nothing") {
  Countdown countdown{2};
  CHECK(visits(countdown, 0).empty());
  CHECK(countdown.pulls == 0);
  CHECK(visits(countdown, 9) == std::vector<Visit>{{2, false}, {1, true}});
  CHECK(visits(std::vector<std::int64_t>{2, 1}, 9) == std::vector<Visit>{{2, false}, {1, true}});
}

TEST_CASE("a visitor that says false ends the walk") {
  const auto until_two = [](auto& batch, bool) { return batch != 2; };
  CHECK(data::for_each_batch(std::vector<std::int64_t>{3, 2, 1}, until_two) == 2);
  CHECK(data::for_each_batch(std::forward_list<std::int64_t>{3, 2, 1}, until_two) == 2);
  CHECK(data::for_each_batch(Countdown{3}, until_two) == 2);
}

TEST_CASE("a range may be walked as a constant expression") {
  constexpr auto sum = [](auto&& range) {
    std::int64_t total = 0;
    data::for_each_batch(
        range, [&](auto& batch, bool is_last) { return total += is_last ? 10 * batch : batch, true; });
    return total;
  };
  STATIC_CHECK(sum(std::array{1, 2, 3}) == 33);
  STATIC_CHECK(sum(Countdown{3}) == 15);
}

TEST_CASE("batches that cannot be copied are walked, and moved only where the range hands out values") {
  std::vector<std::unique_ptr<int>> kept;
  kept.push_back(std::make_unique<int>(1));
  std::int64_t total = 0;
  data::for_each_batch(kept, [&](auto& batch, bool) { return total += *batch, true; });
  CHECK(total == 1);
  CHECK(kept.front() != nullptr);
}

TEST_CASE("looking ahead in a single-pass range leaves what it refers to intact") {
  struct Stream {  // hands out references into storage that outlives it
    std::vector<std::vector<int>>* storage;
    struct Iterator {
      std::vector<std::vector<int>>::iterator at;
      std::vector<int>& operator*() const { return *at; }
      Iterator& operator++() { return ++at, *this; }
      bool operator!=(const Iterator& other) const { return at != other.at; }
    };
    Iterator begin() { return {storage->begin()}; }
    Iterator end() { return {storage->end()}; }
  };
  std::vector<std::vector<int>> storage{{1}, {2, 3}};
  CHECK(data::for_each_batch(Stream{&storage}, [](auto&, bool) { return true; }) == 2);
  CHECK(storage == std::vector<std::vector<int>>{{1}, {2, 3}});
}

TEST_CASE("a range that is shorter than its size ends where it ends") {
  CHECK(visits(Boastful{2, 1}) == std::vector<Visit>{{2, false}, {1, false}});
}

TEST_CASE("batches that were visited before are walked over, and what that draws leaves no trace") {
  struct Guard {
    bool* held;
    explicit Guard(bool& flag) : held(&flag) { *held = true; }
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;
    ~Guard() { *held = false; }
  };
  bool held = false;
  std::vector<bool> steps_held;
  struct Counting {  // single-pass, and says at each step whether it was held
    bool* held;
    std::vector<bool>* steps;
    int count;
    struct Iterator {
      Counting* range;
      int at = 0;
      int operator*() const { return at; }
      Iterator& operator++() {
        range->steps->push_back(*range->held);
        ++at;
        return *this;
      }
      bool operator!=(const Iterator& end) const { return at != end.at; }
    };
    Iterator begin() { return {this}; }
    Iterator end() { return {this, count}; }
  };
  const auto hold = [&] { return Guard(held); };
  const auto rest = [&](auto&& range, std::int64_t before, std::int64_t limit = data::no_limit) {
    std::vector<Visit> visited;
    const auto count = data::for_each_batch(
        range, limit,
        [&](const auto& batch, bool last) {
          CHECK(!held);
          visited.push_back({static_cast<std::int64_t>(batch), last});
          return true;
        },
        data::Visited{before, hold});
    return std::pair(count, visited);
  };
  const std::vector<std::int64_t> sized{5, 6, 7, 8};
  CHECK(rest(sized, 0).second == visits(sized));
  CHECK(rest(sized, 2) == std::pair(std::int64_t{4}, std::vector<Visit>{{7, false}, {8, true}}));
  CHECK(rest(sized, 2, 3) == std::pair(std::int64_t{3}, std::vector<Visit>{{7, true}}));
  CHECK(rest(sized, 4).first == 0);
  CHECK(rest(Boastful{2, 1}, 5).first == 0);
  const std::forward_list<std::int64_t> multi_pass{5, 6, 7};
  CHECK(rest(multi_pass, 1) == std::pair(std::int64_t{3}, std::vector<Visit>{{6, false}, {7, true}}));
  CHECK(rest(multi_pass, 2, 2).first == 0);  // a limit that they have reached
  // The walk that was interrupted after two had pulled the third already: that is the same here.
  CHECK(rest(Counting{&held, &steps_held, 4}, 2) == std::pair(std::int64_t{4}, std::vector<Visit>{{2, false}, {3, true}}));
  CHECK(steps_held == std::vector<bool>{true, true, false, false});
  // So had the walk over a multi-pass range of unknown size, but not one that counts.
  std::vector<bool> steps;
  const std::vector<std::int64_t> numbers{0, 1, 2, 3};
  const auto noted = [&](std::int64_t number) {
    steps.push_back(held);
    return number >= 0;
  };
  rest(rv::filter(numbers, noted), 2);
  CHECK(std::count(steps.begin(), steps.end(), true) == 3);  // the first of them for the begin
}

TEST_CASE("the epoch reaches the range that asks for it, through the views around it") {
  struct Epochs : std::vector<int> {
    using std::vector<int>::vector;
    std::int64_t epoch = -1;
    void set_epoch(std::int64_t number) { epoch = number; }
  };
  Epochs range{1, 2, 3};
  CHECK(data::begin_epoch(range, 4));
  CHECK(range.epoch == 4);
  auto view = range | rv::transform([](int n) { return n; }) | rv::filter([](int) { return true; }) |
              rv::drop_while([](int n) { return n < 2; });
  CHECK(data::begin_epoch(view, 5));
  CHECK(range.epoch == 5);

  std::vector<int> indifferent{1};
  CHECK_FALSE(data::begin_epoch(indifferent, 6));  // nothing to tell it
  auto indifferent_view = indifferent | rv::transform([](int n) { return n; });
  CHECK_FALSE(data::begin_epoch(indifferent_view, 6));
}

TEST_CASE("a view that remembers where its first element is looks for it anew in each epoch") {
  struct Reversing : std::vector<std::int64_t> {
    using std::vector<std::int64_t>::vector;
    void set_epoch(std::int64_t) { std::reverse(begin(), end()); }
  };
  Reversing range{1, 2, 3, 4};
  auto view = range | rv::filter(is_even);
  CHECK(visits(view) == std::vector<Visit>{{2, false}, {4, true}});
  CHECK(data::begin_epoch(view, 1));
  CHECK(visits(view) == std::vector<Visit>{{4, false}, {2, true}});
}
