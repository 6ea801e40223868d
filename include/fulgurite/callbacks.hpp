// SPDX-License-Identifier: MIT
// Every callback.
#pragma once

#include "callbacks/early_stopping.hpp"
#include "callbacks/ema_weight_averaging.hpp"
#include "callbacks/learning_rate_monitor.hpp"
#include "callbacks/model_checkpoint.hpp"
#include "callbacks/progress_bar.hpp"
#include "callbacks/stochastic_weight_averaging.hpp"
#include "policies/callback.hpp"
