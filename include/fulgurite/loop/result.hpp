// SPDX-License-Identifier: MIT
// What one batch of training gives back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace fulgurite {

/// What every outcome of `loop.step(batch)` has.
struct StepOutcome {
  std::int64_t epoch = 0;        ///< of this batch, from 0
  std::int64_t batch = 0;        ///< index in the epoch
  std::int64_t global_step = 0;  ///< optimizer steps so far, this one included
  bool stepped = false;          ///< whether an optimizer stepped: this batch closed a window
  bool ends_epoch = false;       ///< on_train_batch_start asked to end the epoch: this batch was not trained
};

/// The outcome of `loop.step(batch)` with several optimizers.
template <class Loss, std::size_t Optimizers = 1>
struct StepResult : StepOutcome {
  /// One an optimizer, as its training_step computed it; nothing if the batch was skipped or another optimizer's turn.
  std::array<std::optional<Loss>, Optimizers> losses;
};

/// The outcome of `loop.step(batch)`.
template <class Loss>
struct StepResult<Loss, 1> : StepOutcome {
  std::optional<Loss> loss;  ///< as training_step computed it, undivided; nothing if the batch was skipped
};

/// The loss of a training_step that returns none (manual optimization).
struct NoLoss {};

}  // namespace fulgurite
