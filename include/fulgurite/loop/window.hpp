// SPDX-License-Identifier: MIT
// The accumulation window: the consecutive batches of one epoch that make one optimizer step.
#pragma once

#include <cstdint>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/policies/accumulation.hpp>

namespace fulgurite::detail {

/// The window of one batch, without accumulation. It holds nothing that outlives its batch.
class BatchWindow {
 public:
  static constexpr bool at_first_batch() { return true; }
  static constexpr std::int64_t divisor() { return 1; }

  /// The batch takes part; undone by `leave_out`.
  FULGURITE_INLINE constexpr void add_batch() { weight_ = 1.0; }
  FULGURITE_INLINE constexpr void leave_out() { weight_ = 0.0; }
  FULGURITE_INLINE constexpr void add_weight(double weight) { weight_ = weight; }

  FULGURITE_INLINE constexpr bool nothing_to_step_on() const { return weight_ == 0.0; }
  template <class Policy>
  FULGURITE_INLINE constexpr double take_correction(const Policy&, bool /*last_of_epoch*/) {
    return 1.0 / std::exchange(weight_, 1.0);
  }

 private:
  double weight_ = 0.0;
};

/// Counts the batches of a window and knows by what its gradients are divided. Each batch's gradient is divided as it
/// comes, by the window's expected length; if that turns out wrong, `take_correction` mends the sum before the step.
class Window {
 public:
  /// Starts a window with its first batch. `remaining`: batches left in the epoch, this one included; -1 if unknown.
  template <class Policy>
  FULGURITE_INLINE constexpr void open(const Policy& policy, std::int64_t epoch, std::int64_t remaining) {
    const std::int64_t size = policy.window(epoch);
    divisor_ = policy.partial == PartialWindow::own_mean && remaining > 0 && remaining < size ? remaining : size;
  }

  /// It has batches.
  FULGURITE_INLINE constexpr bool is_open() const { return batches_ > 0; }
  FULGURITE_INLINE constexpr bool at_first_batch() const { return batches_ == 0; }
  /// Whether the next batch is its last.
  template <class Policy>
  FULGURITE_INLINE constexpr bool closes(const Policy& policy, std::int64_t epoch, bool last_of_epoch) const {
    return last_of_epoch || batches_ + 1 >= policy.window(epoch);
  }

  /// By what the gradient of a plain loss is divided.
  FULGURITE_INLINE constexpr std::int64_t divisor() const { return divisor_; }

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

  /// All batches were left out. Asked once the last batch's closure has run.
  FULGURITE_INLINE constexpr bool nothing_to_step_on() const { return is_odd_ && batches_ == odd_.left_out; }

  /// The number that turns the sum of gradients into the window's mean, for the first who asks: a sum is corrected once,
  /// however often the optimizer steps on it. A window that closes in the middle of an epoch has its full length.
  template <class Policy>
  FULGURITE_INLINE constexpr double take_correction(const Policy& policy, bool last_of_epoch) {
    if (!is_odd_ && !last_of_epoch) return 1.0;
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
    return own_mean ? static_cast<double>(divisor_) / static_cast<double>(batches_ - odd_.left_out) : 1.0;
  }

  std::int64_t divisor_ = 1;
  std::int64_t batches_ = 0;
  bool is_odd_ = false;  // it is not all plain batches, as many as were expected; only then `odd_` is looked at
  struct {
    std::int64_t left_out = 0;
    double weight = 0.0;
    bool corrected = false;
  } odd_;
};

}  // namespace fulgurite::detail
