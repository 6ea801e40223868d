// SPDX-License-Identifier: MIT
// What a range of batches is, and how an epoch walks it.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include <fulgurite/detail/inline.hpp>

namespace fulgurite::data {

namespace detail {

using std::begin;
using std::end;

// What a range-based for would find. `std::ranges::begin` asks for more than a LibTorch loader has: its
// iterator cannot be incremented by `it++`, and so is no `std::input_iterator`.
template <class Range>
FULGURITE_INLINE constexpr auto begin_of(Range& range) {
  if constexpr (requires { range.begin(); }) {
    return range.begin();
  } else {
    return begin(range);
  }
}

template <class Range>
FULGURITE_INLINE constexpr auto end_of(Range& range) {
  if constexpr (requires { range.end(); }) {
    return range.end();
  } else {
    return end(range);
  }
}

template <class Range>
concept HasBeginAndEnd = requires(Range& range) { range.begin(), range.end(); } ||
                         requires(Range& range) { begin(range), end(range); };

// A cast, since the sizes of some range-v3 views are wider than any built-in integer.
template <class Range>
concept HasSize = requires(Range& range) { static_cast<std::int64_t>(range.size()); };

}  // namespace detail

/// Anything that a range-based for can walk: `torch::data` loaders, containers, range-v3 views, generators.
///
/// It may be single-pass and of unknown size; its iterator needs `*it`, `++it` and `it != end`, no more.
template <class Range>
concept Batches = detail::HasBeginAndEnd<std::remove_reference_t<Range>> &&
                  requires(std::remove_reference_t<Range>& range) {
                    { detail::begin_of(range) != detail::end_of(range) } -> std::convertible_to<bool>;
                    requires requires(decltype(detail::begin_of(range)) it) {
                      ++it;
                      requires !std::is_void_v<decltype(*it)>;
                    };
                  };

/// The iterator of a range of batches, and the sentinel that ends it.
template <Batches Range>
using BatchIterator = decltype(detail::begin_of(std::declval<std::remove_reference_t<Range>&>()));
template <Batches Range>
using BatchSentinel = decltype(detail::end_of(std::declval<std::remove_reference_t<Range>&>()));

/// What the range hands out: the type of `*it`, a value or a reference.
template <Batches Range>
using BatchReference = decltype(*std::declval<BatchIterator<Range>&>());

/// The type of one batch, without reference and `const`.
template <Batches Range>
using BatchOf = std::remove_cvref_t<BatchReference<Range>>;

/// A range that may be walked any number of times, and whose iterators may be copied to look ahead.
template <class Range>
concept MultiPassBatches = Batches<Range> && std::forward_iterator<BatchIterator<Range>>;

/// A range that can say how many batches it holds before any of them is made.
template <class Range>
concept SizedBatches =
    Batches<Range> &&
    (std::is_bounded_array_v<std::remove_reference_t<Range>> ||
     detail::HasSize<std::remove_reference_t<Range>> ||
     (MultiPassBatches<Range> && std::sized_sentinel_for<BatchSentinel<Range>, BatchIterator<Range>>));

namespace detail {

// A view's sentinel shows what it was made from, as the view does.
template <class Sentinel>
consteval bool never_comes() {
  if constexpr (requires(const Sentinel& end) { end.base(); }) {
    return never_comes<std::remove_cvref_t<decltype(std::declval<const Sentinel&>().base())>>();
  } else {
    return std::same_as<Sentinel, std::unreachable_sentinel_t>;
  }
}

}  // namespace detail

/// A range whose type says that it never ends: `std::views::iota(0)` and views of it.
template <class Range>
concept EndlessBatches = Batches<Range> && detail::never_comes<std::remove_cvref_t<BatchSentinel<Range>>>();

/// How many batches `range` holds, or nothing where only walking it could tell. Never consumes a batch.
template <Batches Range>
constexpr std::optional<std::int64_t> batch_count(Range&& range) {
  using Plain = std::remove_reference_t<Range>;
  if constexpr (!SizedBatches<Range>) {
    return std::nullopt;
  } else if constexpr (std::is_bounded_array_v<Plain>) {
    return static_cast<std::int64_t>(std::extent_v<Plain>);
  } else if constexpr (detail::HasSize<Plain>) {
    return static_cast<std::int64_t>(range.size());
  } else {
    return static_cast<std::int64_t>(detail::end_of(range) - detail::begin_of(range));
  }
}

/// Whether `range` holds no batch, as far as that can be told without consuming one.
template <Batches Range>
constexpr bool is_known_to_be_empty(Range&& range) {
  if constexpr (SizedBatches<Range>) {
    return *batch_count(range) <= 0;
  } else if constexpr (MultiPassBatches<Range>) {
    return !(detail::begin_of(range) != detail::end_of(range));
  } else {
    return false;
  }
}

/// Tells a range which epoch begins, so that one that shuffles draws its order. Returns whether one listens.
///
/// Calls `range.set_epoch(epoch)` where there is one. A view that has none but shows what it was made from
/// (`base()`, as most range-v3 views do) passes the call on. For every other range this does nothing.
template <class Range>
constexpr bool begin_epoch(Range&& range, std::int64_t epoch) {
  if constexpr (requires { range.set_epoch(epoch); }) {
    range.set_epoch(epoch);
    return true;
  } else if constexpr (requires { range.base(); }) {
    if (!data::begin_epoch(range.base(), epoch)) return false;
    // A view like filter remembers where its first element lies, and in the new order that is elsewhere. The
    // copy of a view remembers nothing.
    using View = std::remove_reference_t<Range>;
    if constexpr (std::copyable<View>) range = View(range);
    return true;
  } else {
    static_assert(!requires(std::remove_cvref_t<Range>& same) { same.set_epoch(epoch); },
                  "fulgurite: this range is const, but its set_epoch is not, so it could not be told which epoch begins: "
                  "pass it non-const, or make set_epoch const. See docs/errors/range.md");
    return false;
  }
}

/// The `limit` of `for_each_batch` that limits nothing.
inline constexpr std::int64_t no_limit = -1;

namespace detail {

// Keeps a batch of a single-pass range beyond the `++it` that looks ahead. A reference may lead into storage
// that outlives the epoch: what it refers to is copied (a tensor's copy shares its memory), and moved only
// where it cannot be.
template <class Batch, class Reference>
FULGURITE_INLINE constexpr Batch keep(Reference&& reference) {
  if constexpr (std::constructible_from<Batch, Reference>) {
    return Batch(std::forward<Reference>(reference));
  } else {
    return Batch(std::move(reference));  // NOLINT(bugprone-move-forwarding-reference)
  }
}

/// The begin of `range`, `before` batches on, as the walk that had them found it: only a range of known size is not looked
/// into one batch ahead. What is drawn at random on the way leaves no trace while `hold()` lives.
template <class Range, class Hold>
constexpr auto begin_after(Range& range, std::int64_t before, const Hold& hold) {
  auto it = [&] {
    [[maybe_unused]] auto held = hold();
    auto begin = begin_of(range);
    auto end = end_of(range);
    const std::int64_t quiet = SizedBatches<Range> ? before - 1 : before;
    for (std::int64_t i = 0; i < quiet && begin != end; ++i) ++begin;
    return begin;
  }();
  if constexpr (SizedBatches<Range>) {
    if (it != end_of(range)) ++it;
  }
  return it;
}

}  // namespace detail

/// Which batches of an epoch are walked over before the first that is visited, as they were visited before: `hold()` is a
/// guard during that.
template <class Hold>
struct Visited {
  std::int64_t batches;
  Hold hold;
};
template <class Hold>
Visited(std::int64_t, Hold) -> Visited<Hold>;
struct NoneVisited {
  static constexpr std::int64_t batches = 0;
};

/// Calls `f(batch, is_last)` for each batch of `range`, at most `limit` of them, until `f` returns false.
///
/// `batch` is an lvalue; `is_last` is true for the batch that ends the epoch: the range's own last one or the
/// `limit`-th, beyond which nothing is pulled from the range. Returns the number of batches visited; 0 means
/// that the range was empty (or `limit` 0). How the end is foreseen depends on the range:
/// - of known size: by counting;
/// - multi-pass: by a second iterator, one batch ahead;
/// - single-pass: by pulling one batch ahead. So such a range must not refill a batch that it has handed out,
///   and what `++it` throws is thrown before the batch at hand is visited.
///
/// Batches that were `visited` before count as such: 0 means also that the range holds no others.
template <Batches Range, class F, class Before = NoneVisited>
FULGURITE_INLINE constexpr std::int64_t for_each_batch(Range&& range, std::int64_t limit, F&& f,
                                                       const Before& visited_before = {}) {
  if (limit == 0) return 0;
  std::int64_t end_at = limit > 0 ? limit : std::numeric_limits<std::int64_t>::max();
  if constexpr (SizedBatches<Range>) {
    if (const std::int64_t count = *batch_count(range); count < end_at) end_at = count;
  }

  const std::int64_t before = visited_before.batches;
  if (before >= end_at) return 0;
  auto it = [&]() FULGURITE_INLINE {
    if constexpr (!std::same_as<Before, NoneVisited>) {
      if (before > 0) return detail::begin_after(range, before, visited_before.hold);
    }
    return detail::begin_of(range);
  }();
  auto end = detail::end_of(range);
  if (!(it != end)) return 0;

  for (std::int64_t visited = before + 1; visited <= end_at; ++visited) {
    bool is_last = visited == end_at;
    if constexpr (SizedBatches<Range>) {
      auto&& batch = *it;
      if (!f(batch, is_last) || is_last) return visited;
      ++it;
      if (!(it != end)) return visited;  // shorter than it said
    } else if constexpr (MultiPassBatches<Range>) {
      auto next = it;
      if (!is_last) is_last = !(++next != end);
      auto&& batch = *it;
      if (!f(batch, is_last) || is_last) return visited;
      it = std::move(next);
    } else {
      auto batch = detail::keep<BatchOf<Range>>(*it);
      if (!is_last) {
        ++it;
        is_last = !(it != end);
      }
      if (!f(batch, is_last) || is_last) return visited;
    }
  }
  return end_at;
}

/// The same without a limit.
template <Batches Range, class F>
FULGURITE_INLINE constexpr std::int64_t for_each_batch(Range&& range, F&& f) {
  return data::for_each_batch(range, no_limit, f);
}

}  // namespace fulgurite::data
