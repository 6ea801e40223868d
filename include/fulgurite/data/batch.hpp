// SPDX-License-Identifier: MIT
// `examples | fg::data::batch(32)`: consecutive examples of any range, collated into batches.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <range/v3/iterator/concepts.hpp>
#include <range/v3/range_fwd.hpp>

#include <fulgurite/concepts/batches.hpp>
#include "collate.hpp"
#include "detail/adaptor.hpp"
#include "short_batch.hpp"

namespace fulgurite::data {

namespace detail {

struct Chunking {
  std::int64_t batch_size = 1;
  ShortBatch short_batch = ShortBatch::keep;

  bool hands_out(std::int64_t length) const {
    return length == batch_size || (length > 0 && short_batch == ShortBatch::keep);
  }
};

template <class Item>
using Collated = decltype(data::collate(std::span<const Item>()));

// Over a multi-pass range: remembers where the batch lies and makes it when asked for.
template <class Range>
class ChunkIterator {
  using Base = BatchIterator<Range>;
  using Item = BatchOf<Range>;

 public:
  using value_type = Collated<Item>;
  using reference = value_type;
  using difference_type = std::ptrdiff_t;
  using pointer = void;
  using iterator_concept = std::forward_iterator_tag;
  using iterator_category = std::input_iterator_tag;

  ChunkIterator() = default;
  ChunkIterator(Range& range, Chunking chunking)
      : first_(begin_of(range)), last_(first_), end_(end_of(range)), chunking_(chunking) {
    find_last();
  }

  value_type operator*() const {
    std::vector<Item> items;
    items.reserve(static_cast<std::size_t>(length_));
    for (Base it = first_; it != last_; ++it) items.push_back(*it);
    return data::collate(std::span<const Item>(items));
  }

  ChunkIterator& operator++() {
    first_ = last_;
    find_last();
    return *this;
  }
  ChunkIterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }

  friend bool operator==(const ChunkIterator& a, const ChunkIterator& b) { return a.first_ == b.first_; }
  friend bool operator==(const ChunkIterator& it, std::default_sentinel_t) {
    return !it.chunking_.hands_out(it.length_);
  }

 private:
  void find_last() {
    if constexpr (ranges::random_access_iterator<Base> &&
                  ranges::sized_sentinel_for<BatchSentinel<Range>, Base>) {
      const auto left = static_cast<std::int64_t>(end_ - last_);
      length_ = left < chunking_.batch_size ? left : chunking_.batch_size;
      last_ += static_cast<ranges::iter_difference_t<Base>>(length_);
    } else {
      for (length_ = 0; length_ < chunking_.batch_size && last_ != end_; ++length_) ++last_;
    }
  }

  Base first_{};
  Base last_{};
  BatchSentinel<Range> end_{};
  Chunking chunking_;
  std::int64_t length_ = 0;
};

// Over a single-pass range: pulls a batch's examples, and no more, as soon as the batch is reached.
template <class Range>
class GatherIterator {
  using Item = BatchOf<Range>;

 public:
  using value_type = Collated<Item>;
  using reference = value_type&;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  GatherIterator() = default;
  GatherIterator(Range& range, Chunking chunking)
      : it_(begin_of(range)), end_(end_of(range)), chunking_(chunking) {
    gather();
  }

  value_type& operator*() const { return *batch_; }

  GatherIterator& operator++() {
    gather();
    return *this;
  }
  void operator++(int) { ++*this; }

  friend bool operator==(const GatherIterator& it, std::default_sentinel_t) { return !it.batch_; }

 private:
  void gather() {
    std::vector<Item> items;
    items.reserve(static_cast<std::size_t>(chunking_.batch_size));
    bool more = true;
    while (more && std::ssize(items) < chunking_.batch_size) more = pull(items);
    batch_.reset();
    if (chunking_.hands_out(std::ssize(items))) batch_.emplace(data::collate(std::span<const Item>(items)));
  }

  // The step to the next example waits until that example is wanted: it may block, or lie beyond a limit.
  bool pull(std::vector<Item>& items) {
    if (std::exchange(pulled_, true)) ++it_;
    if (!(it_ != end_)) {
      pulled_ = false;  // at the end there is nothing to step over
      return false;
    }
    items.push_back(keep<Item>(*it_));
    return true;
  }

  BatchIterator<Range> it_{};
  BatchSentinel<Range> end_{};
  Chunking chunking_;
  bool pulled_ = false;
  mutable std::optional<value_type> batch_;
};

}  // namespace detail

/// What `range | fg::data::batch(n)` makes: a range of batches, sized and multi-pass where `range` is.
template <class Holder>
class BatchView : public ranges::view_base {
  using Range = detail::HeldRange<Holder>;

 public:
  BatchView() = default;
  BatchView(Holder range, detail::Chunking chunking) : range_(std::move(range)), chunking_(chunking) {}

  auto begin() const {
    if constexpr (ranges::forward_iterator<BatchIterator<Range>>) {
      return detail::ChunkIterator<Range>(*range_, chunking_);
    } else {
      return detail::GatherIterator<Range>(*range_, chunking_);
    }
  }
  std::default_sentinel_t end() const { return {}; }

  /// The number of batches.
  std::size_t size() const
    requires SizedBatches<Range>
  {
    const auto examples = *batch_count(*range_);
    return static_cast<std::size_t>(
        detail::batches_in(examples, chunking_.batch_size, chunking_.short_batch));
  }

  void set_epoch(std::int64_t epoch) const { begin_epoch(*range_, epoch); }

 private:
  Holder range_{};
  detail::Chunking chunking_;
};

/// Collates every `batch_size` consecutive examples into a batch (see `collate`).
///
///     auto train = examples | rv::views::transform(augment) | fg::data::batch(32);
///
/// Takes any range: a container that is an lvalue stays where it is and must outlive the view, everything
/// else is kept inside. `set_epoch` is passed on. Throws `std::invalid_argument` for a batch size below one.
inline auto batch(std::int64_t batch_size, ShortBatch short_batch = ShortBatch::keep) {
  const detail::Chunking chunking{detail::checked_batch_size(batch_size), short_batch};
  return detail::Adaptor{[chunking]<class Range>(Range&& range) {
    static_assert(
        Collatable<BatchOf<Range>>,
        "fulgurite: fg::data::batch cannot make a batch of these examples: it knows tensors, numbers, "
        "fg::Example, std::pair and std::tuple. For a type of your own, write beside it a function "
        "`MyBatch collate(std::span<const MyExample>)`. See docs/errors/collate.md");
    return BatchView<detail::Held<Range>>(detail::hold(std::forward<Range>(range)), chunking);
  }};
}

}  // namespace fulgurite::data
