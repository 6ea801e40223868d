// SPDX-License-Identifier: MIT
// Hooks that make a callback a logger (logging/logger.hpp); a model has none of them:
//   log_hyperparameters   when the program calls trainer.log_hyperparameters({...})
//   log_metrics           every so many batches (fg::LogEvery), after each validation and at each epoch's end
#pragma once

#include "define_hook.hpp"
#include "hook.hpp"

namespace fulgurite::hooks {

FULGURITE_HOOK(log_hyperparameters, "void log_hyperparameters(const fg::Hyperparameters& parameters)");
FULGURITE_HOOK(log_metrics, "void log_metrics(const fg::MetricsRow& row)");

}  // namespace fulgurite::hooks

#undef FULGURITE_HOOK
