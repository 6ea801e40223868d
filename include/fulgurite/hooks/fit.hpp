// SPDX-License-Identifier: MIT
// Hooks around a fit, in the order of their calls:
//   on_fit_start, on_train_start   before the first epoch
//   on_train_end, on_fit_end       after the last one, and not if an exception ended the fit
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(on_fit_start, "void on_fit_start(auto& run)");
FULGURITE_HOOK(on_train_start, "void on_train_start(auto& run)");
FULGURITE_HOOK(on_train_end, "void on_train_end(auto& run)");
FULGURITE_HOOK(on_fit_end, "void on_fit_end(auto& run)");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
