// SPDX-License-Identifier: MIT
// Every callback.
#pragma once

#include "callbacks/callback.hpp"
#include "callbacks/early_stopping.hpp"
#include "callbacks/exponential_average.hpp"
#include "callbacks/learning_rate_monitor.hpp"
#include "callbacks/model_checkpoint.hpp"
#include "callbacks/progress_bar.hpp"
#include "callbacks/stochastic_weight_average.hpp"
