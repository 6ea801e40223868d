// SPDX-License-Identifier: MIT
// What hooks are handed: where the training stands, and what may be done there. `Run` around a fit, `Step` inside an
// epoch. Neither knows the policies, so a model in a .cpp file can take `fg::Step<Model>&` without being a template.
#pragma once

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <fulgurite/concepts/step_watcher.hpp>
#include <fulgurite/detail/number_text.hpp>
#include <fulgurite/logging/log_flags.hpp>
#include <fulgurite/logging/metric.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/logging/number.hpp>
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/policy.hpp>
#include "progress.hpp"

namespace fulgurite {

/// Counters of the training, and a way to end it.
class Run {
 public:
  Run(const Progress& progress, bool& stop) : progress_(&progress), stop_(&stop) {}
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// From 0.
  std::int64_t epoch() const {
    detail::watch(detail::StepNumber::epoch, progress_->epoch);
    return progress_->epoch;
  }
  /// Optimizer steps so far.
  std::int64_t global_step() const {
    detail::watch("step.global_step()");
    return progress_->global_step;
  }
  const Progress& progress() const {
    detail::watch("step.progress()");
    return *progress_;
  }

  /// Ends the fit after the running batch, or as soon as `MinEpochs` and `MinSteps` are reached.
  void stop() const { *stop_ = true; }

  /// Metrics belong to a batch or an epoch: there is none around a fit.
  template <class Value>
  void log(std::string_view, const Value&, LogFlags = {}) const {
    static_assert(std::is_void_v<Value>,
                  "nothing can be logged around a fit (on_fit_start, on_train_start, on_train_end, on_fit_end): log in a "
                  "hook of an epoch or of a batch, whose `step` has log. See docs/errors/log-outside.md");
  }

 private:
  const Progress* progress_;
  bool* stop_;
};

/// One batch (or the edge of an epoch) as hooks see it.
template <class Model>
class Step : public Run {
 public:
  struct Place {
    Stage stage;
    const std::int64_t* batch;  ///< index in its epoch
    bool last;           ///< last batch of the epoch
    double batch_size;   ///< weight of this batch in an epoch's mean
    bool edge = false;   ///< no batch: an edge of an epoch
  };

  Step(const Progress& progress, bool& stop, Metrics& metrics, Place place)
      : Run(progress, stop), metrics_(&metrics), place_(place), log_place_(metrics.place(place.edge)) {}

  /// In the epoch, from 0.
  std::int64_t batch_index() const {
    detail::watch("step.batch_index()");
    return *place_.batch;
  }
  /// Of the epoch, as far as the loop was told.
  bool is_last_batch() const {
    detail::watch(detail::StepNumber::is_last_batch, place_.last ? 1 : 0);
    return place_.last;
  }
  bool is_training() const { return place_.stage == Stage::training; }

  /// Logs a number or a tensor of one element. In batches of training the batch's value counts (`on_step`), elsewhere the
  /// epoch's mean weighted by batch size (`on_epoch`), unless `flags` say otherwise; with both, loggers get `name_step`
  /// and `name_epoch`. A tensor on a GPU is not waited for before its value is shown or stored somewhere.
  /// Throws std::invalid_argument for on_step at an edge of an epoch, for a name that was logged with other flags, and for
  /// one that is taken: by a column of a logger (`step`, `epoch`), or by the `x_step` and `x_epoch` of another metric `x`.
  void log(std::string_view name, const Number& value, LogFlags flags = {}) const {
    if (detail::step_watcher && !detail::step_watcher->on_log({name, value, flags, {}})) [[unlikely]] return;
    metrics_->log(name, value, place_.batch_size, flags_for(name, flags), place_.stage, log_place_);
  }
  /// The same with a weight of its own in the epoch's mean.
  void log(std::string_view name, const Number& value, LogFlags flags, Weight weight) const {
    if (!(weight.value > 0.0 && std::isfinite(weight.value))) {
      throw std::invalid_argument("fulgurite: " + std::string(name) + " is logged with a weight of " +
                                  detail::text_of(weight.value) + ": a weight is finite and above 0");
    }
    if (detail::step_watcher && !detail::step_watcher->on_log({name, value, flags, weight.value})) [[unlikely]] return;
    metrics_->log(name, value, weight.value, flags_for(name, flags), place_.stage, log_place_);
  }

  /// Several at once: `step.log_dict({{"a", x}, {"b", y}}, fg::prog_bar)`.
  void log_dict(std::initializer_list<std::pair<std::string_view, Number>> values, LogFlags flags = {}) const {
    for (const auto& [name, value] : values) log(name, value, flags);
  }
  /// The same from a range of names and values: a map, or what `fg::gradient_norms(model)` gives.
  template <class Range>
  void log_dict(const Range& values, LogFlags flags = {}) const {
    for (const auto& [name, value] : values) log(name, value, flags);
  }

  const Metrics& metrics() const {
    detail::watch("step.metrics()");
    return *metrics_;
  }
  /// What has been logged in this batch, or at this edge, was logged after so many calls of `log`.
  const LogPlace& log_place() const { return log_place_; }

  /// Clips the gradients of an optimizer by a policy, and returns what the policy does: for `ClipNorm` the norm before,
  /// to be logged: `step.log("grad_norm", step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5}));`.
  template <class Handle, class Policy>
  auto clip_gradients(const Handle& optimizer, const Policy& policy) const {
    detail::require_sensible(policy);
    auto gradients = optimizer.gradients();
    static_assert(ClippingPolicy<Policy, decltype(gradients)>,
                  "step.clip_gradients(optimizer, policy) takes a policy that can clip this optimizer's gradients: "
                  "fg::ClipNorm{.max = 0.5} or fg::ClipValue{.max = 0.1}. See docs/errors/clipping-policy.md");
    if constexpr (ClippingPolicy<Policy, decltype(gradients)>) return policy.clip(gradients);
  }

 protected:
  /// A value that loggers get in a row of its own.
  void log_in_own_row(std::string_view name, double value) const {
    metrics_->log(name, value, 1.0, on_step | detail::in_own_row, place_.stage, log_place_);
  }

  bool is_last() const { return place_.last; }

 private:
  LogFlags flags_for(std::string_view name, LogFlags flags) const {
    if (place_.edge && flags.has(on_step)) {
      throw std::invalid_argument("fulgurite: " + std::string(name) + " is logged on_step, but not in a batch: in the hooks "
                                  "around epochs use fg::on_epoch");
    }
    if (flags.has(on_step) || flags.has(on_epoch)) return flags;
    return flags | (is_training() && !place_.edge ? on_step : on_epoch);
  }

  Metrics* metrics_;
  Place place_;
  LogPlace log_place_;
};

}  // namespace fulgurite
