// SPDX-License-Identifier: MIT
// Hooks around an epoch of training:
//   on_train_epoch_start   before its first batch
//   on_train_epoch_end     after its last batch, its epoch schedules and its validation
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(on_train_epoch_start, "void on_train_epoch_start(auto& step)");
FULGURITE_HOOK(on_train_epoch_end, "void on_train_epoch_end(auto& step)");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
