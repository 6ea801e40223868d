// SPDX-License-Identifier: MIT
// Hooks around the life of a trainer, in the order of their calls:
//   setup                  when the trainer is made, before the optimizers are
//   configure_optimizers   returns fg::optimizer(...), or an optimizer alone; required
//   teardown               when a fit has ended
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(setup, "void setup()");
FULGURITE_HOOK(configure_optimizers, "auto configure_optimizers()");
FULGURITE_HOOK(teardown, "void teardown()");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
