// SPDX-License-Identifier: MIT
// What `step.log` fills and what the progress bar, loggers and the program read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace fulgurite {

/// Where a logged value is to be seen. Combine with `|`.
class LogFlags {
 public:
  constexpr LogFlags() = default;
  constexpr explicit LogFlags(unsigned bits) : bits_(bits) {}

  friend constexpr LogFlags operator|(LogFlags a, LogFlags b) { return LogFlags(a.bits_ | b.bits_); }
  constexpr bool has(LogFlags flags) const { return (bits_ & flags.bits_) == flags.bits_; }

  friend constexpr bool operator==(LogFlags, LogFlags) = default;

 private:
  unsigned bits_ = 0;
};

inline constexpr LogFlags prog_bar{1};  ///< shown in the progress bar
inline constexpr LogFlags on_step{2};   ///< the value of each batch; what training hooks log unless told otherwise
inline constexpr LogFlags on_epoch{4};  ///< the epoch's mean, weighted by batch size; what validation hooks log

/// The passes over data in which something is logged, each with epochs of its own.
enum class Stage { training, validation };

/// A logged quantity: its last value, and its mean over the epoch so far.
struct Metric {
  std::string name;
  LogFlags flags;
  Stage stage = Stage::training;  ///< where it was logged last
  double last = std::numeric_limits<double>::quiet_NaN();
  double weighted_sum = 0.0;  ///< over the epoch: value times batch size
  double weight = 0.0;        ///< over the epoch: batch sizes
  double other_sum = 0.0;     ///< the same two for the other stage, where it was logged there too
  double other_weight = 0.0;
  std::int64_t count = 0;  ///< how often it has been logged

  double mean() const { return weighted_sum / weight; }
};

/// The metrics of a training, in the order in which they were first logged. Nothing is allocated once each is known.
class Metrics {
 public:
  /// Logs `value` with its weight in the epoch's mean (the batch size).
  void log(std::string_view name, double value, double weight, LogFlags flags, Stage stage) {
    Metric& metric = find_or_add(name);
    if (metric.stage != stage) {  // one name in two stages: two means
      std::swap(metric.weighted_sum, metric.other_sum);
      std::swap(metric.weight, metric.other_weight);
    }
    metric.flags = flags;
    metric.stage = stage;
    metric.last = value;
    metric.weighted_sum += value * weight;
    metric.weight += weight;
    ++metric.count;
  }

  /// Nothing if the name was never logged.
  const Metric* find(std::string_view name) const {
    for (const Metric& metric : metrics_) {
      if (metric.name == name) return &metric;
    }
    return nullptr;
  }

  /// The epoch's mean for what is logged `on_epoch` and has been logged in this epoch, else the last value; nothing if
  /// the name was never logged.
  std::optional<double> value(std::string_view name) const {
    const Metric* metric = find(name);
    if (!metric) return std::nullopt;
    return metric->flags.has(on_epoch) && metric->weight > 0.0 ? metric->mean() : metric->last;
  }

  /// Starts the means of one stage anew.
  void begin_epoch(Stage stage) {
    for (Metric& metric : metrics_) {
      if (metric.stage == stage) {
        metric.weighted_sum = metric.weight = 0.0;
      } else {
        metric.other_sum = metric.other_weight = 0.0;
      }
    }
  }

  const std::vector<Metric>& all() const { return metrics_; }

 private:
  Metric& find_or_add(std::string_view name) {
    // A step logs the same names in the same order as the one before it: look at the expected place first.
    if (next_ >= metrics_.size()) next_ = 0;
    for (std::size_t i = 0; i < metrics_.size(); ++i) {
      const std::size_t at = next_ + i < metrics_.size() ? next_ + i : next_ + i - metrics_.size();
      if (metrics_[at].name == name) {
        next_ = at + 1;
        return metrics_[at];
      }
    }
    next_ = metrics_.size() + 1;
    return metrics_.emplace_back(Metric{std::string(name), {}});
  }

  std::vector<Metric> metrics_;
  std::size_t next_ = 0;  // where the next name is expected
};

}  // namespace fulgurite
