// SPDX-License-Identifier: MIT
// Metrics, and what a logger is.
#pragma once

#include "logging/hyperparameters.hpp"
#include "logging/log_flags.hpp"
#include "logging/logged_value.hpp"
#include "logging/logger.hpp"
#include "logging/metric.hpp"
#include "logging/metrics.hpp"
#include "logging/notice.hpp"
#include "logging/number.hpp"
