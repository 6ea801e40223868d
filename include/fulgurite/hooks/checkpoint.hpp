// SPDX-License-Identifier: MIT
// Hooks of a model or callback with a state of its own, which goes into a checkpoint and comes back (checkpoint.hpp). Who
// has one has both; the same calls write and read: `checkpoint("name", value)`.
//   on_save_checkpoint   when a checkpoint is written
//   on_load_checkpoint   when it is read, before parameters and buffers are
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(on_save_checkpoint, "void on_save_checkpoint(auto& checkpoint)");
FULGURITE_HOOK(on_load_checkpoint, "void on_load_checkpoint(auto& checkpoint)");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
