// SPDX-License-Identifier: MIT
// The library without LibTorch: policies, hooks, schedules, loggers and the trainer, for models of plain C++ types.
#pragma once

#include "callbacks/early_stopping.hpp"
#include "concepts/batches.hpp"
#include "hooks.hpp"
#include "loggers.hpp"
#include "logging.hpp"
#include "loop/errors.hpp"
#include "loop/loss.hpp"
#include "policies.hpp"
#include "schedulers.hpp"
#include "trainer.hpp"
#include "version.hpp"
