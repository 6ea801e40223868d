// SPDX-License-Identifier: MIT
// The accumulation window: the consecutive batches of one epoch that make one optimizer step.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/policies/accumulation.hpp>

namespace fulgurite::detail {

/// The window of one batch, without accumulation. It holds nothing that outlives its batch.
class BatchWindow {
 public:
  static constexpr bool at_first_batch() { return true; }
  static constexpr double divisor() { return 1.0; }

  /// The batch takes part; undone by `leave_out`.
  FULGURITE_INLINE constexpr void begin_batch() { holds_ = Holds::plain_batch; }
  static constexpr void add_batch() {}
  FULGURITE_INLINE constexpr void leave_out() { holds_ = Holds::nothing; }
  FULGURITE_INLINE constexpr void add_weight(double weight) {
    holds_ = Holds::weighted_batch;
    weight_ = weight;
  }

  FULGURITE_INLINE constexpr bool nothing_to_step_on() const { return holds_ == Holds::nothing; }
  template <class Policy>
  FULGURITE_INLINE constexpr double take_correction(const Policy&, bool /*last_of_epoch*/) {
    if (holds_ != Holds::weighted_batch) return 1.0;
    holds_ = Holds::plain_batch;
    return 1.0 / weight_;
  }

 private:
  // No double says what it holds: a compiler would have to assume that the model's numbers are the same memory.
  enum class Holds : int { nothing, plain_batch, weighted_batch };
  Holds holds_ = Holds::nothing;
  double weight_ = 1.0;
};

/// Counts the batches of a window and knows by what its gradients are divided. Each batch's gradient is divided as it
/// comes, by the window's expected length; if that turns out wrong, `take_correction` mends the sum before the step.
class Window {
 public:
  /// Starts a window with its first batch. `epoch_size`: batches in the epoch, if known; `batch`: of those, the first here.
  template <class Policy>
  FULGURITE_INLINE constexpr void open(const Policy& policy, std::int64_t epoch,
                                       const std::optional<std::int64_t>& epoch_size, std::int64_t batch) {
    const std::int64_t size = policy.window(epoch);
    divisor_ = static_cast<double>(size);
    if (!epoch_size || policy.partial != PartialWindow::own_mean) return;
    const std::int64_t remaining = *epoch_size - batch;
    if (remaining > 0 && remaining < size) {
      divisor_ = static_cast<double>(remaining);
      is_odd_ = true;  // a loop of the program's own may go on beyond the end of a fit's epoch that was loaded
    }
  }

  /// It has batches.
  FULGURITE_INLINE constexpr bool is_open() const { return batches_ > 0; }
  FULGURITE_INLINE constexpr bool at_first_batch() const { return batches_ == 0; }
  /// Whether the next batch is its last.
  template <class Policy>
  FULGURITE_INLINE constexpr bool closes(const Policy& policy, std::int64_t epoch, bool last_of_epoch) const {
    return last_of_epoch || batches_ + 1 >= policy.window(epoch);
  }

  /// Whether the batch that was added last was its last.
  template <class Policy>
  FULGURITE_INLINE constexpr bool is_full(const Policy& policy, std::int64_t epoch, bool last_of_epoch) const {
    return last_of_epoch || batches_ >= policy.window(epoch);
  }

  /// Between two batches: a step on it has begun, and did not come to its end.
  template <class Policy>
  constexpr bool is_stepped_on(const Policy& policy, std::int64_t epoch) const {
    return batches_ >= policy.window(epoch) || odd_.corrected;
  }

  /// By what the gradient of a plain loss is divided.
  FULGURITE_INLINE constexpr double divisor() const { return divisor_; }

  static constexpr void begin_batch() {}
  FULGURITE_INLINE constexpr void add_batch() { ++batches_; }
  /// The batch that was added last does not count in the mean. (One that training_step skipped does, with a gradient of
  /// zero.)
  constexpr void leave_out() {
    ++odd_.left_out;
    is_odd_ = true;
  }
  /// The gradient of the batch that was added last was added undivided and counts with a weight.
  constexpr void add_weight(double weight) {
    odd_.weight += weight;
    is_odd_ = true;
  }

  /// All its batches are plain, and as many as were expected: there is a mean to step on, and it needs no correction.
  FULGURITE_INLINE constexpr bool is_ordinary(bool last_of_epoch) const { return !is_odd_ && !last_of_epoch; }
  FULGURITE_INLINE constexpr void close_ordinary() { batches_ = 0; }

  /// All batches were left out. Asked once the last batch's closure has run.
  FULGURITE_INLINE constexpr bool nothing_to_step_on() const { return is_odd_ && batches_ == odd_.left_out; }

  /// The number that turns the sum of gradients into the window's mean, for the first who asks: a sum is corrected once,
  /// however often the optimizer steps on it. A window that closes in the middle of an epoch has its full length.
  template <class Policy>
  FULGURITE_INLINE constexpr double take_correction(const Policy& policy, bool last_of_epoch) {
    if (is_ordinary(last_of_epoch)) return 1.0;
    return take_odd_correction(policy.partial == PartialWindow::own_mean);
  }

  FULGURITE_INLINE constexpr void close() {
    batches_ = 0;
    if (is_odd_) [[unlikely]] {
      odd_ = {};
      is_odd_ = false;
    }
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive("divisor", divisor_);
    archive("batches", batches_);
    archive("is_odd", is_odd_);
    archive("left_out", odd_.left_out);
    archive("weight", odd_.weight);
    archive("corrected", odd_.corrected);
  }

 private:
  constexpr double take_odd_correction(bool own_mean) {
    is_odd_ = true;
    if (std::exchange(odd_.corrected, true)) return 1.0;
    if (odd_.weight > 0.0) return 1.0 / odd_.weight;
    return own_mean ? divisor_ / static_cast<double>(batches_ - odd_.left_out) : 1.0;
  }

  double divisor_ = 1.0;  // a whole number
  std::int64_t batches_ = 0;
  bool is_odd_ = false;  // it is not all plain batches, as many as were expected; only then `odd_` is looked at
  struct {
    std::int64_t left_out = 0;
    double weight = 0.0;
    bool corrected = false;
  } odd_;
};

}  // namespace fulgurite::detail
