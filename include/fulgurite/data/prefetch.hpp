// SPDX-License-Identifier: MIT
// `batches | fg::data::prefetch(2)`: a thread makes the next batches while the current one trains.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <range/v3/range_fwd.hpp>

#include <fulgurite/concepts/batches.hpp>
#include "detail/adaptor.hpp"

namespace fulgurite::data {

namespace detail {

// One walk over the range: a producer thread, a ring of finished batches, and the one the consumer holds.
template <class Holder>
class PrefetchPass {
  using Range = HeldRange<Holder>;

 public:
  using Batch = BatchOf<Range>;

  // The range is begun here: only `*it`, `++it` and `it != end` run on the producer's thread.
  PrefetchPass(Holder range, std::size_t depth)
      : ring_(depth),
        range_(std::move(range)),
        it_(begin_of(*range_)),
        end_(end_of(*range_)),
        producer_([this] { produce(); }) {}

  PrefetchPass(const PrefetchPass&) = delete;
  PrefetchPass& operator=(const PrefetchPass&) = delete;
  ~PrefetchPass() { stop(); }

  /// Ends the walk: the batch in the making is finished and forgotten, the consumer finds itself at the end.
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      ready_ = 0;
      thrown_ = nullptr;
    }
    room_.notify_one();
    if (producer_.joinable()) producer_.join();
  }

  // The consumer's side. What the producer threw takes the place of the batch that it was making.

  bool at_end() { return !current_ && !take(); }

  Batch& current() {
    if (!current_ && !take()) throw std::logic_error("fulgurite: a prefetched range was read beyond its end");
    if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
    return *current_;
  }

  void advance() {
    if (at_end()) return;
    current();  // a failure that nobody looked at is not stepped over in silence
    current_.reset();
  }

 private:
  // Waits for a batch and takes it from the ring; false at the end. True as well when a failure has its turn.
  bool take() {
    if (failure_) return true;
    {
      std::unique_lock lock(mutex_);
      filled_.wait(lock, [this] { return ready_ > 0 || finished_ || stopped_; });
      if (ready_ == 0) {
        failure_ = std::exchange(thrown_, nullptr);
        return failure_ != nullptr;
      }
      current_ = std::move(ring_[head_]);
      ring_[head_].reset();
      head_ = (head_ + 1) % ring_.size();
      --ready_;
    }
    room_.notify_one();
    return true;
  }

  void produce() {
    std::exception_ptr thrown;
    try {
      for (bool begun = false; wait_for_room();) {
        if (std::exchange(begun, true)) ++it_;  // only now: a step may be as costly as a batch
        if (!(it_ != end_)) break;
        push(keep<Batch>(*it_));
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    {
      const std::lock_guard lock(mutex_);
      finished_ = true;
      if (!stopped_) thrown_ = std::move(thrown);
    }
    filled_.notify_one();
  }

  bool wait_for_room() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return ready_ < ring_.size() || stopped_; });
    return !stopped_;
  }

  void push(Batch&& batch) {
    {
      const std::lock_guard lock(mutex_);
      if (stopped_) return;
      ring_[(head_ + ready_) % ring_.size()].emplace(std::move(batch));
      ++ready_;
    }
    filled_.notify_one();
  }

  std::mutex mutex_;  // guards what follows, up to the next remark
  std::condition_variable room_, filled_;
  std::vector<std::optional<Batch>> ring_;
  std::size_t head_ = 0, ready_ = 0;
  bool finished_ = false, stopped_ = false;
  std::exception_ptr thrown_;

  std::optional<Batch> current_;  // the consumer's own
  std::exception_ptr failure_;

  Holder range_;  // the producer's own
  BatchIterator<Range> it_;
  BatchSentinel<Range> end_;

  std::thread producer_;  // the last member: the thread begins when everything else is there
};

template <class Holder>
class PrefetchIterator {
 public:
  using value_type = BatchOf<HeldRange<Holder>>;
  using reference = value_type&;
  using difference_type = std::ptrdiff_t;
  using iterator_concept = std::input_iterator_tag;

  PrefetchIterator() = default;
  explicit PrefetchIterator(std::shared_ptr<PrefetchPass<Holder>> pass) : pass_(std::move(pass)) {}

  value_type& operator*() const { return pass_->current(); }
  PrefetchIterator& operator++() {
    pass_->advance();
    return *this;
  }
  void operator++(int) { ++*this; }

  friend bool operator==(const PrefetchIterator& it, std::default_sentinel_t) { return it.pass_->at_end(); }

 private:
  std::shared_ptr<PrefetchPass<Holder>> pass_;
};

}  // namespace detail

/// What `range | fg::data::prefetch(depth)` makes: single-pass, but begun any number of times.
template <class Holder>
class PrefetchView : public ranges::view_base {
  using Range = detail::HeldRange<Holder>;
  using Pass = detail::PrefetchPass<Holder>;

  struct State {
    Holder range;
    std::size_t depth;
    std::weak_ptr<Pass> pass;  // its iterators own a walk: when the last one goes, the thread ends

    void stop() {
      if (auto running = pass.lock()) running->stop();
    }
  };

 public:
  using iterator = detail::PrefetchIterator<Holder>;

  PrefetchView() = default;
  PrefetchView(Holder range, std::size_t depth)
      : state_(std::make_shared<State>(State{std::move(range), depth, {}})) {}

  /// Begins a walk. Only one at a time: an earlier one that still runs is ended.
  iterator begin() const {
    state_->stop();
    auto pass = std::make_shared<Pass>(state_->range, state_->depth);
    state_->pass = pass;
    return iterator(std::move(pass));
  }
  std::default_sentinel_t end() const { return {}; }

  /// The number of batches.
  std::size_t size() const
    requires SizedBatches<Range>
  {
    return static_cast<std::size_t>(*batch_count(*state_->range));
  }

  /// Ends a walk that still runs, and passes the epoch on.
  void set_epoch(std::int64_t epoch) const {
    state_->stop();
    begin_epoch(*state_->range, epoch);
  }

 private:
  std::shared_ptr<State> state_;
};

/// Makes up to `depth` batches ahead on a thread of its own.
///
///     auto train = examples | rv::views::transform(augment) | fg::data::batch(32) | fg::data::prefetch(2);
///
/// Batches come in the same order. What the range throws is rethrown by `*it`, after all batches that came
/// before it. A walk may be left at any time: the thread ends as soon as the batch in the making is there.
/// The range must not refill a batch that it has handed out, nor share unguarded state with the training.
/// Throws `std::invalid_argument` for a depth below one.
inline auto prefetch(std::int64_t depth) {
  if (depth < 1) {
    throw std::invalid_argument("fulgurite: prefetch keeps at least one batch ready, but its depth is " +
                                std::to_string(depth));
  }
  return detail::Adaptor{[depth]<class Range>(Range&& range) {
    return PrefetchView<detail::Held<Range>>(detail::hold(std::forward<Range>(range)),
                                             static_cast<std::size_t>(depth));
  }};
}

}  // namespace fulgurite::data
