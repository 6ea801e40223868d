// SPDX-License-Identifier: MIT
// Slot: how many batches make one optimizer step (an accumulation window). A window never crosses an epoch.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <ostream>
#include <vector>

#include <fulgurite/detail/print.hpp>

namespace fulgurite {

namespace slots {
struct Accumulation;
}

/// What becomes of an epoch's last window when it is shorter than the others.
enum class PartialWindow {
  own_mean,      ///< divide by the number of batches that it holds: every step follows a mean
  full_divisor,  ///< divide by the full window size, as PyTorch Lightning does: the last step is smaller
};

inline std::ostream& operator<<(std::ostream& out, PartialWindow partial) {
  return out << (partial == PartialWindow::own_mean ? "own_mean" : "full_divisor");
}

/// Every batch steps the optimizer.
struct NoAccumulation {
  using slot = slots::Accumulation;
  static constexpr PartialWindow partial = PartialWindow::own_mean;

  static constexpr std::int64_t window(std::int64_t /*epoch*/) { return 1; }

  friend constexpr bool operator==(NoAccumulation, NoAccumulation) { return true; }
  friend std::ostream& operator<<(std::ostream& out, NoAccumulation) { return out << "NoAccumulation"; }
};

/// One optimizer step every `N` batches, on the mean of their gradients.
template <std::int64_t N>
struct Accumulate {
  static_assert(N >= 1, "fg::Accumulate<N> needs N >= 1: N batches make one optimizer step. See docs/errors/accumulate.md");

  using slot = slots::Accumulation;
  PartialWindow partial = PartialWindow::own_mean;  ///< the epoch's last, short window

  static constexpr std::int64_t window(std::int64_t /*epoch*/) { return N; }

  friend constexpr bool operator==(Accumulate, Accumulate) = default;
  friend std::ostream& operator<<(std::ostream& out, Accumulate policy) {
    return detail::print(out << "Accumulate<" << N << '>', "", detail::field("partial", policy.partial));
  }
};

/// Another window size from some epoch on: `AccumulateSchedule{.stages = {{.from_epoch = 0, .batches = 8}, {4, 2}}}`.
/// Epochs before the first stage accumulate nothing.
struct AccumulateSchedule {
  struct Stage {
    std::int64_t from_epoch = 0;  ///< first epoch of the stage, counted from 0
    std::int64_t batches = 1;     ///< batches in a window

    friend constexpr bool operator==(Stage, Stage) = default;
  };

  using slot = slots::Accumulation;
  std::vector<Stage> stages;                        ///< by rising `from_epoch`
  PartialWindow partial = PartialWindow::own_mean;  ///< an epoch's last, short window

  std::int64_t window(std::int64_t epoch) const {
    std::int64_t batches = 1;
    for (const Stage& stage : stages) {
      if (stage.from_epoch <= epoch) batches = stage.batches;
    }
    return batches;
  }

  const char* problem() const {
    if (stages.empty()) return "AccumulateSchedule has no stages: give at least one {.from_epoch, .batches}";
    for (std::size_t i = 0; i < stages.size(); ++i) {
      if (stages[i].from_epoch < 0) return "AccumulateSchedule: from_epoch must be 0 or more";
      if (stages[i].batches < 1) return "AccumulateSchedule: batches must be 1 or more";
      if (i > 0 && stages[i].from_epoch <= stages[i - 1].from_epoch) {
        return "AccumulateSchedule: the stages must be listed by rising from_epoch, each epoch once";
      }
    }
    return nullptr;
  }

  friend bool operator==(const AccumulateSchedule&, const AccumulateSchedule&) = default;
  friend std::ostream& operator<<(std::ostream& out, const AccumulateSchedule& policy) {
    out << "AccumulateSchedule{.stages = {";
    for (const Stage& stage : policy.stages) {
      out << (&stage == policy.stages.data() ? "{" : ", {") << stage.from_epoch << ", " << stage.batches << '}';
    }
    return out << "}, .partial = " << policy.partial << '}';
  }
};

/// Concept of the slot: the size of the windows of an epoch (at least 1), and what becomes of the short one.
template <class P>
concept AccumulationPolicy = requires(const P& policy, std::int64_t epoch) {
  { policy.window(epoch) } -> std::convertible_to<std::int64_t>;
  { policy.partial } -> std::convertible_to<PartialWindow>;
};

namespace slots {
struct Accumulation {
  using fallback = NoAccumulation;
  template <class P>
  static constexpr bool accepts = AccumulationPolicy<P>;
};
}  // namespace slots

}  // namespace fulgurite
