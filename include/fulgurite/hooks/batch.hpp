// SPDX-License-Identifier: MIT
// Hooks around one batch of training, in the order of their calls:
//   on_train_batch_start   may return fg::EpochControl::end_epoch: this batch is not trained and the epoch ends
//   training_step          returns the loss; required
//   on_train_batch_end     after the update and the schedules; `result` is what loop.step returns
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite {

/// What `on_train_batch_start` may return.
enum class EpochControl {
  go_on,      ///< train this batch
  end_epoch,  ///< leave this batch and the rest of the epoch; epoch schedules advance, step schedules don't
};

namespace hooks {

FULGURITE_HOOK(on_train_batch_start, "void on_train_batch_start(const Batch& batch, auto& step)");
FULGURITE_HOOK(training_step, "auto training_step(const Batch& batch, auto& step)");
FULGURITE_HOOK(on_train_batch_end, "void on_train_batch_end(const auto& result, const Batch& batch, auto& step)");

}  // namespace hooks
}  // namespace fulgurite

#undef FULGURITE_HOOK
