// SPDX-License-Identifier: MIT
// Hooks of a pass over the validation range, in the order of their calls. The model is in evaluation mode, no gradient
// is recorded, and neither gradients nor random streams of the training are touched:
//   on_validation_start
//   validation_scope   what it returns lives until on_validation_epoch_end has run, also if an exception ends the pass
//   on_validation_epoch_start
//   on_validation_batch_start, validation_step, on_validation_batch_end   for every batch
//   on_validation_epoch_end, on_validation_end
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(on_validation_start, "void on_validation_start(auto& step)");
FULGURITE_HOOK(validation_scope, "auto validation_scope(auto& step)");
FULGURITE_HOOK(on_validation_epoch_start, "void on_validation_epoch_start(auto& step)");
FULGURITE_HOOK(on_validation_batch_start, "void on_validation_batch_start(const Batch& batch, auto& step)");
FULGURITE_HOOK(validation_step, "void validation_step(const Batch& batch, auto& step)");
FULGURITE_HOOK(on_validation_batch_end, "void on_validation_batch_end(const Batch& batch, auto& step)");
FULGURITE_HOOK(on_validation_epoch_end, "void on_validation_epoch_end(auto& step)");
FULGURITE_HOOK(on_validation_end, "void on_validation_end(auto& step)");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
