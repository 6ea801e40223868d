// SPDX-License-Identifier: MIT
// Laws of all ranges of fg::data, alone and on one another: what an epoch visits, in which order, from any place on.
#include <fulgurite/data.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <range/v3/view/filter.hpp>
#include <range/v3/view/iota.hpp>
#include <range/v3/view/transform.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <numeric>
#include <optional>
#include <ostream>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/families.hpp"

namespace fg = fulgurite;
namespace data = fulgurite::data;
namespace rv = ranges::views;

namespace {

constexpr std::int64_t count = 37;
std::int64_t bad = -1;  // the element at which a source throws

using Elements = std::vector<std::int64_t>;

Elements elements_of(std::int64_t element) {
  return {element};
}
Elements elements_of(const torch::Tensor& batch) {
  return {batch.data_ptr<std::int64_t>(), batch.data_ptr<std::int64_t>() + batch.numel()};
}
Elements elements_of(const fg::Example& batch) {
  CHECK(batch.data.select(1, 1).equal(batch.target.to(torch::kFloat) * 2.0f));  // of the same examples
  return elements_of(batch.target.contiguous());
}

struct Visit {
  Elements elements;
  bool is_last;
  friend bool operator==(const Visit&, const Visit&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Visit& visit) {
    for (const auto element : visit.elements) out << element << ' ';
    return out << (visit.is_last ? "and the end" : "and more");
  }
};
using Visits = std::vector<Visit>;

/// Batches up to the end, or up to an exception.
struct Walk {
  std::vector<Elements> batches;
  std::string thrown;
  friend bool operator==(const Walk&, const Walk&) = default;
};

/// A range that was made now, behind functions.
struct Made {
  std::function<void(std::int64_t epoch)> begin_epoch;
  std::function<Visits(std::int64_t before)> visits;                // as an epoch of a fit that goes on behind some batches
  std::function<Walk()> walk;                                       // as a range-based for
  std::function<std::optional<std::int64_t>()> size;                // if it knows
  std::function<std::shared_ptr<void>(std::size_t batches)> begun;  // a walk that was left there
  std::function<Elements(std::size_t batches, const std::function<void()>& then)> interrupted;  // goes on after `then`
};

template <class Range>
Made made(Range given) {
  const auto range = std::make_shared<Range>(std::move(given));
  Made all;
  all.begin_epoch = [range](std::int64_t epoch) { data::begin_epoch(*range, epoch); };
  all.visits = [range](std::int64_t before) {
    Visits visits;
    const auto hold = [] { return 0; };
    const auto visit = [&](const auto& batch, bool is_last) {
      visits.push_back({elements_of(batch), is_last});
      return true;
    };
    const auto visited = data::for_each_batch(*range, data::no_limit, visit, data::Visited{before, hold});
    CHECK(visited == (visits.empty() ? 0 : before + std::ssize(visits)));
    return visits;
  };
  all.walk = [range] {
    Walk walk;
    try {
      for (auto&& batch : *range) walk.batches.push_back(elements_of(batch));
    } catch (const std::exception& error) {
      walk.thrown = error.what();
    }
    return walk;
  };
  all.size = [range] { return data::batch_count(*range); };
  const auto begin_after = [range](std::size_t batches) {
    auto it = range->begin();
    for (std::size_t i = 0; i < batches && it != range->end(); ++i) {
      elements_of(*it);
      ++it;
    }
    return it;
  };
  all.begun = [begin_after](std::size_t batches) {
    auto it = begin_after(batches);
    return std::make_shared<decltype(it)>(std::move(it));
  };
  all.interrupted = [range, begin_after](std::size_t batches, const std::function<void()>& then) {
    auto it = begin_after(batches);
    const auto end = range->end();
    then();
    Elements rest;
    for (; it != end; ++it) {
      for (const auto element : elements_of(*it)) rest.push_back(element);
    }
    return rest;
  };
  return all;
}

struct Member {
  std::set<std::string> headers;  // whose ranges it is made of
  std::function<Made()> make;
  std::function<Made()> prefetched;  // the same with prefetch on it; none: it is that already
  std::int64_t batch_size = 1;
  bool drops = false;     // a short batch
  bool shuffles = false;  // each epoch has an order of its own
  bool throws = true;     // at the bad element
  Elements elements{};    // of an epoch; empty: 0 … count - 1

  std::string name() const {
    std::string all = shuffles ? "shuffled" : "in order";
    for (const auto& header : headers) all += ", " + header;
    return all + ", batches of " + std::to_string(batch_size) + (drops ? ", short ones dropped" : "");
  }
};

template <class Make>
Member member(std::set<std::string> headers, Make make, std::int64_t batch_size = 1) {
  Member one;
  one.headers = std::move(headers);
  one.make = [make] { return made(make()); };
  one.prefetched = [make] { return made(make() | data::prefetch(3)); };
  one.batch_size = batch_size;
  one.throws = !one.headers.contains("tensor_dataset") && !one.headers.contains("tensor_batches");
  return one;
}

Member dropping(Member one) {
  one.drops = true;
  return one;
}
Member shuffled(Member one) {
  one.shuffles = true;
  return one;
}

/// 0 … count - 1, with random access.
auto numbers() {
  return rv::iota(std::int64_t{0}, count) | rv::transform([](std::int64_t number) {
           if (number == bad) throw std::runtime_error("no " + std::to_string(number));
           return number;
         });
}

/// The same, to be walked once.
struct Stream {
  struct Iterator {
    std::int64_t at = 0;
    std::int64_t operator*() const {
      if (at == bad) throw std::runtime_error("no " + std::to_string(at));
      return at;
    }
    Iterator& operator++() { return ++at, *this; }
    bool operator!=(const Iterator& other) const { return at != other.at; }
  };
  Iterator begin() const { return {}; }
  Iterator end() const { return {count}; }
};

data::TensorDataset dataset(std::int64_t size = count) {
  const auto index = torch::arange(size);
  return {torch::stack({torch::zeros({size}), index.to(torch::kFloat) * 2.0f}, 1), index};
}

data::TensorBatches tensor_batches(data::Order order, data::ShortBatch short_batch) {
  return data::TensorBatches{dataset(), {.batch_size = 5, .order = order, .short_batch = short_batch}};
}

std::vector<Member> members() {
  using data::ShortBatch;
  std::vector<Member> all;
  all.push_back(member(
      {"batch"}, [] { return numbers() | data::batch(5); }, 5));
  all.push_back(dropping(member(
      {"batch"}, [] { return numbers() | data::batch(5, ShortBatch::drop); }, 5)));
  all.push_back(member(
      {"batch"}, [] { return Stream{} | data::batch(5); }, 5));
  all.push_back(dropping(member(
      {"batch"}, [] { return Stream{} | data::batch(4, ShortBatch::drop); }, 4)));
  all.push_back(shuffled(member({"shuffle"}, [] { return numbers() | data::shuffle(7); })));
  all.push_back(shuffled(member(
      {"shuffle", "batch"}, [] { return numbers() | data::shuffle(7) | data::batch(5); }, 5)));
  all.push_back(shuffled(member({"shuffle"}, [] { return numbers() | data::shuffle(7) | data::shuffle(8); })));
  all.push_back(shuffled(member(
      {"shuffle", "batch"},
      [] { return numbers() | data::shuffle(7) | rv::filter([](auto n) { return n % 3 != 0; }) | data::batch(5); }, 5)));
  for (std::int64_t number = 0; number < count; ++number) {
    if (number % 3 != 0) all.back().elements.push_back(number);
  }
  all.push_back(member({"prefetch"}, [] { return Stream{} | data::prefetch(2); }));
  all.push_back(shuffled(member(
      {"shuffle", "batch", "prefetch"},
      [] { return numbers() | data::shuffle(7) | data::prefetch(2) | data::batch(5) | data::prefetch(1); }, 5)));
  all.push_back(shuffled(member(
      {"tensor_dataset", "shuffle", "batch"}, [] { return dataset() | data::shuffle(7) | data::batch(6); }, 6)));
  const auto slices = [] { return tensor_batches(data::InOrder{}, ShortBatch::keep); };
  const auto full = [] { return tensor_batches(data::Shuffled{3}, ShortBatch::drop); };
  const auto gathered = [] { return tensor_batches(data::Shuffled{3}, ShortBatch::keep); };
  all.push_back(member({"tensor_batches", "order", "short_batch"}, slices, 5));
  all.push_back(dropping(shuffled(member({"tensor_batches", "order", "short_batch"}, full, 5))));
  all.push_back(shuffled(member({"tensor_batches"}, gathered, 5)));
  all.push_back(shuffled(member(
      {"tensor_batches", "prefetch"}, [gathered] { return gathered() | data::prefetch(2); }, 5)));
  return all;
}

Elements in_one(const std::vector<Elements>& batches) {
  Elements all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

Walk walk_of(const Made& range, std::int64_t epoch) {
  range.begin_epoch(epoch);
  return range.walk();
}

template <class F>
void for_each_member(const F& f) {
  for (const auto& one : members()) {
    INFO(one.name());
    f(one);
  }
}

}  // namespace

TEST_CASE("the laws are about all ranges of fg::data") {
  const std::set<std::string> no_ranges{"collate", "csv", "example"};
  std::set<std::string> known = no_ranges;
  known.insert({"random_order", "split"});  // laws of their own, below
  for (const auto& one : members()) known.insert(one.headers.begin(), one.headers.end());
  CHECK(support::headers_in("data") == known);
}

TEST_CASE("an epoch visits every element once, in batches of one size, as many as the range says") {
  for_each_member([](const Member& one) {
    const Made range = one.make();
    Elements expected = one.elements;
    if (expected.empty()) {
      expected.resize(count);
      std::iota(expected.begin(), expected.end(), 0);
    }
    const auto examples = std::ssize(expected);
    const std::int64_t batches = examples / one.batch_size + (one.drops || examples % one.batch_size == 0 ? 0 : 1);
    for (const std::int64_t epoch : {0, 1, 2}) {
      range.begin_epoch(epoch);
      CHECK(range.size().value_or(batches) == batches);
      const Visits visits = range.visits(0);
      REQUIRE(std::ssize(visits) == batches);
      Elements seen;
      for (std::size_t at = 0; at < visits.size(); ++at) {
        const bool is_last = at + 1 == visits.size();
        CHECK(visits[at].is_last == is_last);
        CHECK((std::ssize(visits[at].elements) == one.batch_size || (is_last && !one.drops)));
        seen.insert(seen.end(), visits[at].elements.begin(), visits[at].elements.end());
      }
      if (!one.shuffles) CHECK(std::equal(seen.begin(), seen.end(), expected.begin()));
      std::sort(seen.begin(), seen.end());
      CHECK(std::adjacent_find(seen.begin(), seen.end()) == seen.end());
      CHECK(std::includes(expected.begin(), expected.end(), seen.begin(), seen.end()));
      CHECK(range.size().value_or(batches) == batches);
    }
  });
}

TEST_CASE("the order of an epoch depends on nothing but its number") {
  for_each_member([](const Member& one) {
    const Made range = one.make(), other = one.make();
    const Walk first = walk_of(range, 3), second = walk_of(range, 4), again = walk_of(range, 3);
    CHECK(first == again);
    CHECK(range.walk() == again);  // however often it is walked
    CHECK(walk_of(other, 3) == first);
    CHECK((first != second) == one.shuffles);
  });
}

TEST_CASE("an epoch that begins behind some batches goes on as if they had been visited") {
  for_each_member([](const Member& one) {
    const Made range = one.make(), resumed = one.make();
    range.begin_epoch(5);
    const Visits all = range.visits(0);
    for (std::size_t before = 0; before <= all.size(); ++before) {
      INFO("behind " << before);
      resumed.begin_epoch(5);
      CHECK(resumed.visits(static_cast<std::int64_t>(before)) ==
            Visits(all.begin() + static_cast<std::ptrdiff_t>(before), all.end()));
    }
  });
}

TEST_CASE("a walk that is left anywhere disturbs no other, also while its iterator lives") {
  for_each_member([](const Member& one) {
    const Made range = one.make();
    const Walk all = walk_of(range, 2);
    const std::size_t last = all.batches.size();
    for (const std::size_t batches : {std::size_t{0}, std::size_t{1}, std::size_t{2}, last - 1, last}) {
      INFO("left after " << batches);
      range.begun(batches);
      CHECK(range.walk() == all);
      const auto lives = range.begun(batches);
      CHECK(range.walk() == all);
    }
  });
}

TEST_CASE("a walk keeps its order when another epoch begins, unless a thread makes its batches") {
  for_each_member([](const Member& one) {
    const Made range = one.make();
    const Elements all = in_one(walk_of(range, 2).batches);
    for (const std::size_t batches : {0U, 1U, 3U}) {
      range.begin_epoch(2);
      const Elements rest = range.interrupted(batches, [&] { range.begin_epoch(6); });
      if (one.headers.contains("prefetch")) {
        CHECK(rest.empty());
      } else {
        CHECK(rest == Elements(all.begin() + static_cast<std::ptrdiff_t>(batches) * one.batch_size, all.end()));
      }
    }
  });
}

TEST_CASE("prefetched batches are those of the range, up to what it throws, and afterwards") {
  for_each_member([](const Member& one) {
    const Made range = one.make(), prefetched = one.prefetched();
    for (const std::int64_t element : {-1, 0, 17, 36}) {
      bad = element;
      INFO("throws at " << element);
      const Walk expected = walk_of(range, 1);
      if (element >= 0 && one.throws && !one.drops) CHECK(expected.thrown == "no " + std::to_string(element));
      CHECK(walk_of(prefetched, 1) == expected);
      bad = -1;
      CHECK(walk_of(prefetched, 2) == walk_of(range, 2));
      CHECK(prefetched.size() == range.size());
    }
  });
}

TEST_CASE("random orders are permutations, and no two epochs or seeds share one") {
  std::set<Elements> orders;
  for (const std::uint64_t seed : {0U, 1U, 2U, 1000U}) {
    for (const std::int64_t epoch : {0, 1, 2, 1000}) {
      for (const std::int64_t size : {0, 1, 2, 3, 37}) {
        auto order = data::random_order(size, seed, epoch);
        CHECK(order == data::random_order(size, seed, epoch));
        if (size == 37) CHECK(orders.insert(order).second);
        std::sort(order.begin(), order.end());
        Elements expected(static_cast<std::size_t>(size));
        std::iota(expected.begin(), expected.end(), 0);
        CHECK(order == expected);
      }
    }
  }
}

TEST_CASE("the parts of a split share no example, have all of them, and are as large as their fractions") {
  const auto check = []<std::size_t Parts>(const double(&fractions)[Parts], std::int64_t size, std::uint64_t seed) {
    INFO(size << " examples, seed " << seed);
    const auto parts = data::split(dataset(size), fractions, seed);
    const auto again = data::split(dataset(size), fractions, seed);
    Elements all;
    for (std::size_t part = 0; part < parts.size(); ++part) {
      CHECK(parts[part].targets().equal(again[part].targets()));
      CHECK(std::abs(static_cast<double>(parts[part].size()) - fractions[part] * static_cast<double>(size)) <= 1.0);
      const Elements its = elements_of(fg::Example(parts[part].inputs(), parts[part].targets()));
      all.insert(all.end(), its.begin(), its.end());
    }
    std::sort(all.begin(), all.end());
    Elements expected(static_cast<std::size_t>(size));
    std::iota(expected.begin(), expected.end(), 0);
    CHECK(all == expected);
    return parts[0].targets();
  };
  for (const std::int64_t size : {0, 1, 2, 3, 10, 37}) {
    for (const std::uint64_t seed : {0U, 5U}) {
      check({1.0}, size, seed);
      check({0.5, 0.5}, size, seed);
      check({0.7, 0.15, 0.15}, size, seed);
      check({0.0, 1.0, 0.0}, size, seed);
      check({0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1}, size, seed);
    }
  }
  CHECK_FALSE(check({0.5, 0.5}, 37, 0).equal(check({0.5, 0.5}, 37, 5)));
}
