// SPDX-License-Identifier: MIT
// Every logger that writes files. What a logger is stands in logging/logger.hpp.
#pragma once

#include "loggers/csv_logger.hpp"
#include "loggers/json_lines_logger.hpp"
