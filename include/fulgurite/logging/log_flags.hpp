// SPDX-License-Identifier: MIT
// What `step.log` is told beside a value: where it is to be seen, and what becomes of it over an epoch.
#pragma once

namespace fulgurite {

/// Where a logged value is to be seen, and how an epoch's values become one. Combine with `|`.
class LogFlags {
 public:
  constexpr LogFlags() = default;
  constexpr explicit LogFlags(unsigned bits) : bits_(bits) {}

  friend constexpr LogFlags operator|(LogFlags a, LogFlags b) { return LogFlags(a.bits_ | b.bits_); }
  constexpr bool has(LogFlags flags) const { return (bits_ & flags.bits_) == flags.bits_; }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive("bits", bits_);
  }

  friend constexpr bool operator==(LogFlags, LogFlags) = default;

 private:
  unsigned bits_ = 0;
};

inline constexpr LogFlags prog_bar{1};  ///< shown in the progress bar
inline constexpr LogFlags on_step{
    2};  ///< the value of each batch; what batches of training log unless told otherwise
inline constexpr LogFlags on_epoch{
    4};  ///< the epoch's mean, weighted by batch size; what everything else logs
inline constexpr LogFlags epoch_sum{4 | 8};   ///< on_epoch, but the sum of the values
inline constexpr LogFlags epoch_min{4 | 16};  ///< on_epoch, but the smallest value
inline constexpr LogFlags epoch_max{4 | 32};  ///< on_epoch, but the largest value

/// The weight of one value in its epoch's mean, instead of the batch size: `step.log("loss", loss,
/// fg::on_epoch, fg::Weight{tokens})`. Finite and above 0.
struct Weight {
  double value;

  template <class Number>
  constexpr explicit Weight(Number given) : value(static_cast<double>(given)) {}
};

namespace detail {

/// Its writer gives the value to the loggers itself: it is in no other row.
inline constexpr LogFlags in_own_row{64};

/// An epoch's values become one in at most one way.
constexpr bool reduces_in_one_way(LogFlags flags) {
  return int{flags.has(epoch_sum)} + int{flags.has(epoch_min)} + int{flags.has(epoch_max)} <= 1;
}

}  // namespace detail

}  // namespace fulgurite
