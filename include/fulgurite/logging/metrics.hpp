// SPDX-License-Identifier: MIT
// What `step.log` fills and what the progress bar, loggers and the program read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fulgurite/detail/inline.hpp>
#include "log_flags.hpp"
#include "logged_value.hpp"
#include "metric.hpp"
#include "number.hpp"

namespace fulgurite {

/// Where things are logged: a batch, or an edge of an epoch.
struct LogPlace {
  std::int64_t calls_before = 0;  ///< of `log`
  bool at_edge = false;           ///< no batch
};

/// One call of `step.log`.
struct LogCall {
  std::string_view name;
  const Number&
      number;  ///< `number.source<at::Tensor>()` is the tensor itself, for as long as the call lasts
  double weight;
  LogFlags flags;
  Stage stage;
  LogPlace place{};
};

/// Takes the calls of `step.log` instead of the metrics.
struct LogListener {
  void (*on_log)(void* self, const LogCall& call);
  void* self;
  std::string_view prefix{};  ///< of the names under which it logs them again
};

/// The metrics of a training, in the order in which they were first logged. A name that is logged in two
/// stages is a metric in each; a lookup by that name finds the one that was logged last. Two metrics never share
/// a name otherwise. Nothing is allocated once each is known, and no value on a device is waited for before it
/// is looked at.
class Metrics {
 public:
  /// Values on a device that are kept before they are read without anybody having asked.
  static constexpr std::size_t most_kept = 256;

  /// Logs a value with its weight in the epoch's mean (the batch size). Throws std::invalid_argument, and changes
  /// nothing then, if other batches of the epoch (or other edges) logged the name with other flags, or if a name
  /// that the metric would have is taken.
  void log(std::string_view name, const Number& number, double weight, LogFlags flags, Stage stage,
           LogPlace place = {}) {
    if (listener_) return listener_->on_log(listener_->self, {name, number, weight, flags, stage, place});
    const std::size_t index = find_or_add(name, stage, flags);
    Metric& metric = metrics_[index];
    if (metric.flags != flags) change_flags(index, flags, place);
    metric.call = ++calls_;
    metric.at_edge = place.at_edge;
    ++metric.count;
    if (!number.is_far() && kept_.empty()) {
      metric.add(number.value(), weight);
    } else {
      keep(index, number, weight);
    }
  }

  /// Nothing if the name was never logged. `x_step` and `x_epoch` find an `x` that is logged both on_step and
  /// on_epoch.
  const Metric* find(std::string_view name) const {
    read_kept();
    if (const Metric* metric = last_logged(name)) return metric;
    for (const std::string_view suffix : {step_suffix, epoch_suffix}) {
      if (!name.ends_with(suffix)) continue;
      if (const Metric* metric = last_with_both(name.substr(0, name.size() - suffix.size()))) return metric;
    }
    return nullptr;
  }

  /// The message for `who`, which follows a metric that has not been logged. One of a validation may only be early: before
  /// the first, the message cannot tell.
  std::string missing(std::string_view who, std::string_view name) const {
    bool validated = false;
    for (const Metric& each : all()) validated |= each.stage == Stage::validation;
    const std::string metric(name);
    return "fulgurite: " + std::string(who) + " follows the metric " + metric +
           ", which has not been logged yet. Known metrics: " + known_names() + ". " +
           (validated ? "Log it" :
                      "No validation has logged anything yet: if one is to log " + metric +
                          ", it must come first (give fit a validation range; fg::ValidateEvery validates within epochs). "
                          "Else log it") +
           " with step.log(\"" + metric + "\", value), or set .strict = false, which waits for it";
  }

  /// The epoch's value for what is logged `on_epoch` (the last epoch's until this one has one), else the last
  /// value; nothing if the name was never logged. `x_step` is the last value of an `x` that has both.
  LoggedValue value(std::string_view name) const {
    const Metric* metric = find(name);
    if (!metric) return unknown(name);
    return metric->name != name && metric->step_name == name ? metric->last : metric->value();
  }

  /// The same, but the last value of what is logged `on_step`, unless `x_epoch` is asked for.
  LoggedValue batch_value(std::string_view name) const {
    const Metric* metric = find(name);
    if (!metric) return unknown(name);
    return metric->epoch_name != name ? metric->last : metric->value();
  }

  /// All values by name, `x`, `x_step` and `x_epoch` for what has both: Lightning's `callback_metrics`.
  std::map<std::string, double> values() const {
    std::map<std::string, double> all;
    for_each_value([&](const std::string& name, double value) { all[name] = value; });
    return all;
  }

  /// Makes a name one that no metric may have: a column that a logger writes itself.
  void reserve(std::string_view name) { reserved_.emplace_back(name); }

  const std::vector<Metric>& all() const {
    read_kept();
    return metrics_;
  }

  /// Starts the epoch's values of one stage anew.
  void begin_epoch(Stage stage) {
    read_kept();
    for (Metric& metric : metrics_) {
      if (metric.stage == stage) metric.begin_epoch();
    }
  }

  /// A place that begins now.
  FULGURITE_INLINE LogPlace place(bool at_edge) const { return {calls_, at_edge}; }

  /// What takes the calls of `log`; nullptr: the metrics themselves. Returns what took them before.
  const LogListener* set_listener(const LogListener* listener) { return std::exchange(listener_, listener); }
  /// The prefix of all names that are logged at present; empty if there is none.
  std::string_view prefix() const { return listener_ ? listener_->prefix : std::string_view(); }

  /// Waits for the values on a device that have not been read yet, if there are any.
  void read_kept() const {
    if (!kept_.empty()) read_all_kept();
  }

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    read_kept();
    archive("metrics", metrics_);
    archive("calls", calls_);
  }

 private:
  /// "train_loss, val_loss", or "none".
  std::string known_names() const {
    std::string known;
    for (const Metric& each : all()) {
      if (&each == last_logged(each.name)) known += (known.empty() ? "" : ", ") + each.name;
    }
    return known.empty() ? "none" : known;
  }

  __attribute__((noinline, cold)) LoggedValue unknown(std::string_view name) const {
    return LoggedValue(std::nullopt, "fulgurite: the metric " + std::string(name) +
                                         " is not known, since nothing has been logged under that name. Known metrics: " +
                                         known_names() + ". Where it may be missing, ask has_value(), or value_or(number)");
  }

  static constexpr std::string_view step_suffix = "_step";
  static constexpr std::string_view epoch_suffix = "_epoch";

  /// A value that waits to be read; one on the host waits behind those that came before it.
  struct Kept {
    std::size_t metric;
    double weight;
    double value;               // of a number on the host
    detail::KeptNumber number;  // of one on a device, and how it is read
    const detail::NumberKind* kind;
  };

  std::size_t find_or_add(std::string_view name, Stage stage, LogFlags flags) {
    // A step logs the same names in the same order as the one before it: look at the expected place first.
    if (next_ >= metrics_.size()) next_ = 0;
    for (std::size_t i = 0; i < metrics_.size(); ++i) {
      const std::size_t at = next_ + i < metrics_.size() ? next_ + i : next_ + i - metrics_.size();
      if (metrics_[at].stage == stage && metrics_[at].name == name) {
        next_ = at + 1;
        return at;
      }
    }
    return add(name, stage, flags);
  }

  // Out of line, as the next: once for each metric.
  __attribute__((noinline, cold)) std::size_t add(std::string_view name, Stage stage, LogFlags flags) {
    require_flags_and_names(name, flags);
    Metric metric{.name = std::string(name), .stage = stage};
    metric.change_flags(flags);
    metrics_.push_back(std::move(metric));
    return metrics_.size() - 1;
  }

  __attribute__((noinline, cold)) void change_flags(std::size_t index, LogFlags flags, LogPlace place) {
    read_kept();
    Metric& metric = metrics_[index];
    const bool same_epoch = metric.in_epoch() && metric.at_edge == place.at_edge;
    if (same_epoch || metric.call > place.calls_before) {
      throw std::invalid_argument("fulgurite: " + metric.name +
                                  " was logged twice in one epoch, with different flags: log it "
                                  "in one way, or under two names");
    }
    require_flags_and_names(metric.name, flags);
    metric.change_flags(flags);
  }

  void require_flags_and_names(std::string_view name, LogFlags flags) const {
    const std::string given(name);
    if (!detail::reduces_in_one_way(flags)) {
      throw std::invalid_argument("fulgurite: " + given +
                                  " is logged with two of fg::epoch_sum, fg::epoch_min and "
                                  "fg::epoch_max: keep one, or log it under two names");
    }
    for (const std::string& own : names_of(given, flags)) {
      const std::string taken = use_of(own, given);
      if (taken.empty()) continue;
      throw std::invalid_argument("fulgurite: " + given +
                                  (own == given
                                       ? " cannot be the name of a metric: it is "
                                       : " cannot be logged both on_step and on_epoch: that makes " + own + ", which is ") +
                                  taken + ". Log " + given + " under another name");
    }
  }

  /// What a name means already; empty if nothing, or if it is of the metric `but` in another stage.
  std::string use_of(const std::string& name, const std::string& but) const {
    if (std::find(reserved_.begin(), reserved_.end(), name) != reserved_.end()) {
      return "a column that a logger of the trainer writes itself";
    }
    for (const Metric& metric : metrics_) {
      if (metric.name == but) continue;
      if (metric.name == name) return "another metric";
      if (metric.step_name == name) return "what " + metric.name + ", logged on_step and on_epoch, is called for a batch";
      if (metric.epoch_name == name) return "what " + metric.name + ", logged on_step and on_epoch, is called for an epoch";
    }
    return {};
  }

  static std::vector<std::string> names_of(const std::string& name, LogFlags flags) {
    if (!flags.has(on_step | on_epoch)) return {name};
    return {name, name + std::string(step_suffix), name + std::string(epoch_suffix)};
  }

  /// Calls f(name, value) for every name that `value` knows.
  template <class F>
  void for_each_value(F&& f) const {
    for (const Metric& metric : all()) {
      if (&metric == last_logged(metric.name)) f(metric.name, metric.value());
      if (&metric != last_with_both(metric.name)) continue;
      f(metric.step_name, metric.last);
      f(metric.epoch_name, metric.value());
    }
  }

  const Metric* last_logged(std::string_view name) const {
    return last_of([&](const Metric& metric) { return metric.name == name; });
  }
  const Metric* last_with_both(std::string_view name) const {
    return last_of([&](const Metric& metric) { return metric.has_both() && metric.name == name; });
  }
  template <class F>
  const Metric* last_of(const F& is_meant) const {
    const Metric* found = nullptr;
    for (const Metric& metric : metrics_) {
      if (is_meant(metric) && (!found || metric.call > found->call)) found = &metric;
    }
    return found;
  }

  void keep(std::size_t metric, const Number& number, double weight) {
    if (number.is_far()) {
      kept_.push_back({metric, weight, 0.0, number.keep(), number.kind()});
    } else {
      kept_.push_back({metric, weight, number.value(), nullptr, nullptr});
    }
    if (kept_.size() >= most_kept) read_all_kept();
  }

  void read_all_kept() const {
    std::vector<detail::KeptNumber> numbers;
    std::vector<double> values;
    for (const Kept& first : kept_) {
      if (!first.number) continue;
      const detail::NumberKind* kind = first.kind;
      numbers.clear();  // those of one kind, read together
      for (const Kept& each : kept_) {
        if (each.kind == kind) numbers.push_back(each.number);
      }
      values.resize(numbers.size());
      kind->read_all({numbers.data(), numbers.size()}, values.data());
      std::size_t next = 0;
      for (Kept& each : kept_) {
        if (each.kind != kind) continue;
        each.value = values[next++];
        each.number = nullptr;
      }
    }
    for (const Kept& each : kept_) metrics_[each.metric].add(each.value, each.weight);
    kept_.clear();
  }

  mutable std::vector<Metric>
      metrics_;  // mutable, as the next: reading what was kept changes nothing that can be seen
  mutable std::vector<Kept> kept_;
  std::size_t next_ = 0;  // where the next name is expected
  std::int64_t calls_ = 0;
  std::vector<std::string> reserved_;  // names of columns that loggers write themselves
  const LogListener* listener_ = nullptr;
};

}  // namespace fulgurite
