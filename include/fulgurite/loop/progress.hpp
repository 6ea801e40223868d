// SPDX-License-Identifier: MIT
// Where a training stands. Plain numbers: what a checkpoint stores and what hooks read.
#pragma once

#include <cstdint>

namespace fulgurite {

/// The counters of a training, all from 0.
struct Progress {
  std::int64_t epoch = 0;           ///< epochs that have ended, and so the index of the running one
  std::int64_t batch = 0;           ///< batches of this epoch before the running one, and so its index
  std::int64_t batches = 0;        ///< batches of all epochs
  std::int64_t windows = 0;         ///< closed accumulation windows
  std::int64_t global_step = 0;     ///< optimizer steps
  std::int64_t skipped_steps = 0;   ///< optimizer steps that fell away because nothing finite was there to step on

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive("epoch", epoch);
    archive("batch", batch);
    archive("batches", batches);
    archive("windows", windows);
    archive("global_step", global_step);
    archive("skipped_steps", skipped_steps);
  }

  friend constexpr bool operator==(const Progress&, const Progress&) = default;
};

}  // namespace fulgurite
