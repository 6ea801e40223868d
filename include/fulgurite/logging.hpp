// SPDX-License-Identifier: MIT
// Metrics, and the loggers that keep them.
#pragma once

#include "logging/csv_logger.hpp"
#include "logging/hyperparameters.hpp"
#include "logging/json_lines_logger.hpp"
#include "logging/log_flags.hpp"
#include "logging/logged_value.hpp"
#include "logging/logger.hpp"
#include "logging/metric.hpp"
#include "logging/metrics.hpp"
#include "logging/notice.hpp"
#include "logging/number.hpp"
