// SPDX-License-Identifier: MIT
// What a logger is: a callback that is given rows of metrics to be kept.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include <fulgurite/callbacks/callback.hpp>
#include "hyperparameters.hpp"

namespace fulgurite {

/// One value of a row.
struct MetricValue {
  std::string_view name;
  double value;

  friend bool operator==(const MetricValue&, const MetricValue&) = default;
};

/// What a logger gets at a time: values of one batch, or of one epoch. Valid during the call.
struct MetricsRow {
  std::int64_t
      step;  ///< x axis: how many batches had stepped the optimizers before, so 0 for the first that does
  std::int64_t epoch;  ///< from 0
  std::span<const MetricValue> values;
};

/// A callback with the hook `log_metrics(row)`, and perhaps `log_hyperparameters(parameters)`. Other hooks
/// may be there too. Any number of loggers may be given to a trainer, among its policies; copies write to one
/// place.
template <class L>
concept Logger = Callback<L> && requires(L& logger, const MetricsRow& row) {
  logger.log_metrics(row);
};

}  // namespace fulgurite
