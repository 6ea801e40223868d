// SPDX-License-Identifier: MIT
// What one batch of training gives back.
#pragma once

#include <cstdint>
#include <optional>

namespace fulgurite {

/// The outcome of `loop.step(batch)`.
template <class Loss>
struct StepResult {
  std::optional<Loss> loss;      ///< as training_step computed it, undivided; nothing if the batch was skipped
  std::int64_t epoch = 0;        ///< of this batch, from 0
  std::int64_t batch = 0;        ///< index in the epoch
  std::int64_t global_step = 0;  ///< optimizer steps so far, this one included
  bool stepped = false;          ///< whether this batch closed a window and stepped the optimizer
  bool ends_epoch = false;       ///< on_train_batch_start asked to end the epoch: this batch was not trained
};

/// The loss of a training_step that returns none (manual optimization).
struct NoLoss {};

}  // namespace fulgurite
