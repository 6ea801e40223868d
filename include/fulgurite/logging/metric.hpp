// SPDX-License-Identifier: MIT
// One logged quantity: what is known of it.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "log_flags.hpp"

namespace fulgurite {

/// The passes over data in which something is logged, each with epochs of its own.
enum class Stage { training, validation };

/// A logged quantity of one stage: its last value, and what the epoch's values have become so far.
struct Metric {
  std::string name;
  Stage stage = Stage::training;
  LogFlags flags{};
  std::string
      step_name{};  ///< under which loggers get the value of a batch: `name`, or `name_step` if it has both
  std::string epoch_name{};  ///< the same for an epoch's: `name` or `name_epoch`
  double last = std::numeric_limits<double>::quiet_NaN();
  double reduced =
      0.0;  ///< over the epoch: the sum of value times weight, or as the flags say sum, smallest or largest
  double weight = 0.0;  ///< over the epoch: the sum of weights; 0 if it was not logged in it
  std::optional<double> epoch_before{};  ///< the value of the last epoch before this one, if there was one
  std::int64_t count = 0;                        ///< how often it has been logged
  std::int64_t call = 0;                         ///< number of the call that logged it last, of all calls
  bool at_edge = false;                          ///< that was at an edge of an epoch, in no batch

  /// Logged for batches and for epochs.
  bool has_both() const { return flags.has(on_step | on_epoch); }

  void add(double value, double its_weight) {
    last = value;
    if (flags.has(epoch_sum)) {
      reduced += value;
    } else if (flags.has(epoch_min)) {
      if (weight == 0.0 || value < reduced || std::isnan(value)) reduced = value;
    } else if (flags.has(epoch_max)) {
      if (weight == 0.0 || value > reduced || std::isnan(value)) reduced = value;
    } else {
      reduced += value * its_weight;
    }
    weight += its_weight;
  }

  bool in_epoch() const { return weight > 0.0; }  ///< it has been logged in this epoch

  /// What the epoch's values are so far: their mean, or as the flags say.
  double epoch_value() const {
    const bool is_mean = !flags.has(epoch_sum) && !flags.has(epoch_min) && !flags.has(epoch_max);
    return is_mean ? reduced / weight : reduced;
  }

  /// The epoch's value for what is logged `on_epoch`, the last epoch's until this one has one; else the last
  /// value.
  double value() const {
    if (!flags.has(on_epoch)) return last;
    if (in_epoch()) return epoch_value();
    return epoch_before.value_or(last);
  }

  /// Begins another epoch.
  void begin_epoch() {
    if (!in_epoch()) return;
    epoch_before = epoch_value();
    reduced = weight = 0.0;
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive("name", name);
    archive("stage", stage);
    archive("flags", flags);
    archive("step_name", step_name);
    archive("epoch_name", epoch_name);
    archive("last", last);
    archive("reduced", reduced);
    archive("weight", weight);
    archive("epoch_before", epoch_before);
    archive("count", count);
    archive("call", call);
    archive("at_edge", at_edge);
  }

  /// From here on it is logged otherwise. What the epoch had gathered is dropped: it was another quantity.
  void change_flags(LogFlags given) {
    flags = given;
    step_name = has_both() ? name + "_step" : name;
    epoch_name = has_both() ? name + "_epoch" : name;
    reduced = weight = 0.0;
  }
};

}  // namespace fulgurite
