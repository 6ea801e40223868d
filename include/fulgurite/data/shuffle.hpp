// SPDX-License-Identifier: MIT
// `examples | fg::data::shuffle(7)`: a random-access range in another order every epoch.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <utility>
#include <vector>

#include <range/v3/iterator/concepts.hpp>
#include <range/v3/range_fwd.hpp>

#include <fulgurite/concepts/batches.hpp>
#include "detail/adaptor.hpp"
#include "detail/index_iterator.hpp"
#include "random_order.hpp"

namespace fulgurite::data {

/// What `range | fg::data::shuffle(seed)` makes: random-access and sized. Copies share the epoch.
template <class Holder>
class ShuffleView : public ranges::view_base {
  using Range = detail::HeldRange<Holder>;
  using Base = BatchIterator<Range>;

  struct Permuted {
    Base first{};
    std::shared_ptr<const std::vector<std::int64_t>> order;

    decltype(auto) operator[](std::int64_t index) const {
      return first[static_cast<ranges::iter_difference_t<Base>>((*order)[static_cast<std::size_t>(index)])];
    }
  };

  struct State {
    Holder range;
    std::uint64_t seed;
    std::int64_t epoch = 0;
    std::shared_ptr<const std::vector<std::int64_t>> order;  // drawn when first needed

    std::int64_t count() const { return *batch_count(*range); }

    Permuted permuted() {
      if (!order || std::ssize(*order) != count()) {
        order = std::make_shared<const std::vector<std::int64_t>>(random_order(count(), seed, epoch));
      }
      return {detail::begin_of(*range), order};
    }
  };

 public:
  using iterator = detail::IndexIterator<Permuted>;

  ShuffleView() = default;
  ShuffleView(Holder range, std::uint64_t seed)
      : state_(std::make_shared<State>(State{std::move(range), seed, 0, nullptr})) {}

  iterator begin() const { return {state_->permuted(), 0}; }
  iterator end() const { return {state_->permuted(), state_->count()}; }
  std::size_t size() const { return static_cast<std::size_t>(state_->count()); }

  /// Draws the order of another epoch. A walk that has begun keeps its own.
  void set_epoch(std::int64_t epoch) const {
    begin_epoch(*state_->range, epoch);
    state_->epoch = epoch;
    state_->order = nullptr;
  }

 private:
  std::shared_ptr<State> state_;
};

/// Permutes a random-access range; the order is a pure function of seed and epoch (`random_order`), and does
/// not change within an epoch, however often the range is walked.
///
///     auto train = dataset | fg::data::shuffle(7) | rv::views::transform(augment) | fg::data::batch(32);
///
/// The trainer tells the outermost range which epoch begins, and the adaptors of `fg::data` and the views of
/// range-v3 pass it on inwards. Should something in between not (a range of your own without `set_epoch` or
/// `base()`), keep the shuffled view and call its `set_epoch` yourself: every copy of it hears.
inline auto shuffle(std::uint64_t seed) {
  return detail::Adaptor{[seed]<class Range>(Range&& range) {
    static_assert(
        ranges::random_access_iterator<BatchIterator<Range>> && SizedBatches<Range>,
        "fulgurite: fg::data::shuffle needs a range with random access and a known size (a TensorDataset, a "
        "vector, a view of them); to shuffle a stream, collect it first. See docs/errors/shuffle.md");
    return ShuffleView<detail::Held<Range>>(detail::hold(std::forward<Range>(range)), seed);
  }};
}

}  // namespace fulgurite::data
