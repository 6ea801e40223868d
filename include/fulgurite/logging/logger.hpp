// SPDX-License-Identifier: MIT
// What a logger is: a callback that is given rows of metrics to be kept.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include <fulgurite/policies/callback.hpp>
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
///
/// No metric may have the name of a column that a logger adds by itself. Those are `step` and `epoch`, unless the
/// logger says otherwise: `static constexpr std::array<std::string_view, 3> own_columns{"step", "epoch", "time"};`.
template <class L>
concept Logger = Callback<L> && requires(L& logger, const MetricsRow& row) {
  logger.log_metrics(row);
};

namespace detail {

template <class L>
inline constexpr std::array<std::string_view, 2> columns_of_logger{"step", "epoch"};
template <class L>
  requires requires { L::own_columns; }
inline constexpr auto columns_of_logger<L> = L::own_columns;

}  // namespace detail

}  // namespace fulgurite
