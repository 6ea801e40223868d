// SPDX-License-Identifier: MIT
// The accumulation window: the consecutive batches of one epoch that make one optimizer step.
#pragma once

#include <cstdint>
#include <utility>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/policies/accumulation.hpp>

namespace fulgurite::detail {

/// Counts the batches of a window and knows by what its gradients are divided. Each batch's gradient is divided as it
/// comes, by the window's expected length; if that turns out wrong, `correction()` mends the sum before the step.
class Window {
 public:
  /// Starts a window with its first batch. `remaining`: batches left in the epoch, this one included; -1 if unknown.
  template <class Accumulation>
  FULGURITE_INLINE constexpr void open(const Accumulation& policy, std::int64_t epoch, std::int64_t remaining) {
    size_ = policy.window(epoch);
    own_mean_ = policy.partial == PartialWindow::own_mean;
    divisor_ = own_mean_ && remaining > 0 && remaining < size_ ? remaining : size_;
    batches_ = contributions_ = 0;
    weight_ = 0.0;
    corrected_ = false;
  }

  FULGURITE_INLINE constexpr bool is_open() const { return size_ > 0; }
  FULGURITE_INLINE constexpr bool at_first_batch() const { return batches_ == 0; }
  FULGURITE_INLINE constexpr bool closes(bool last_of_epoch) const { return last_of_epoch || batches_ + 1 >= size_; }

  /// By what the gradient of a plain loss is divided.
  FULGURITE_INLINE constexpr std::int64_t divisor() const { return divisor_; }

  FULGURITE_INLINE constexpr void add_batch() { ++batches_; }
  /// A batch whose gradient counts in the mean (a skipped one does too, with a gradient of zero).
  FULGURITE_INLINE constexpr void add_contribution() { ++contributions_; }
  /// A batch whose gradient was added undivided and counts with a weight.
  FULGURITE_INLINE constexpr void add_weight(double weight) {
    ++contributions_;
    weight_ += weight;
  }

  /// All batches were left out: there is nothing to step on. Asked once the last batch's closure has run.
  FULGURITE_INLINE constexpr bool nothing_to_step_on() const { return contributions_ == 0; }

  /// The number that turns the sum of gradients into the window's mean.
  FULGURITE_INLINE constexpr double correction() const {
    if (weight_ > 0.0) return 1.0 / weight_;
    if (!own_mean_ || contributions_ == divisor_) return 1.0;
    return static_cast<double>(divisor_) / static_cast<double>(contributions_);
  }

  /// The same for the first who asks: a sum is corrected once, however often the optimizer steps on it.
  FULGURITE_INLINE constexpr double take_correction() { return std::exchange(corrected_, true) ? 1.0 : correction(); }

  FULGURITE_INLINE constexpr void close() { size_ = 0; }

 private:
  std::int64_t size_ = 0;  // 0: closed
  std::int64_t divisor_ = 1;
  std::int64_t batches_ = 0;
  std::int64_t contributions_ = 0;
  double weight_ = 0.0;
  bool own_mean_ = true;
  bool corrected_ = false;
};

}  // namespace fulgurite::detail
