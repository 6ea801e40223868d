// SPDX-License-Identifier: MIT
// Policies and callbacks that are chosen when the program runs, so that a trainer is compiled once for all of
// them.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <ostream>
#include <stdexcept>
#include <utility>

#include <fulgurite/callbacks/early_stopping.hpp>
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/precision.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>

#include "any_optimizer.hpp"
#include "json.hpp"

namespace parity::golden {

/// Early stopping, if the configuration asks for it: one type for all cases.
struct AnyEarlyStopping {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;

  explicit AnyEarlyStopping(const Json& options = {}) {
    if (options.is_null()) return;
    const Json monitor = options.at("monitor");
    if (monitor == "val_loss") on_validation = made<fg::EarlyStopping<"val_loss">>(options);
    if (monitor == "train_loss") on_training = made<fg::EarlyStopping<"train_loss">>(options);
    if (!on_validation && !on_training)
      throw std::runtime_error("early stopping on " + monitor.dump() + " is not known");
  }

  void on_fit_start(auto& run) {
    each([&](auto& stopping) { stopping.on_fit_start(run); });
  }
  void on_train_start(auto& run) {
    each([&](auto& stopping) { stopping.on_train_start(run); });
  }
  void on_train_epoch_end(auto& step) {
    each([&](auto& stopping) { stopping.on_train_epoch_end(step); });
  }
  void on_validation_end(auto& step) {
    each([&](auto& stopping) { stopping.on_validation_end(step); });
  }
  void on_save_checkpoint(auto& checkpoint) {
    each([&](auto& stopping) {
      checkpoint.part(std::string(stopping.monitor()), [&](auto& part) { stopping.on_save_checkpoint(part); });
    });
  }
  void on_load_checkpoint(auto& checkpoint) {
    each([&](auto& stopping) {
      checkpoint.part(std::string(stopping.monitor()), [&](auto& part) { stopping.on_load_checkpoint(part); });
    });
  }

 private:
  template <class Stopping>
  static Stopping made(const Json& given) {
    Arguments options(given, {"monitor"});
    Stopping stopping;
    if (options.get("mode", "min") == "max") stopping.mode = fg::MetricMode::max;
    stopping.patience = options.get("patience", stopping.patience);
    stopping.min_delta = std::abs(options.get("min_delta", stopping.min_delta));
    stopping.check_finite = options.get("check_finite", stopping.check_finite);
    stopping.strict = options.get("strict", stopping.strict);
    if (const Json* at = options.find("stopping_threshold")) stopping.stopping_threshold = number(*at);
    if (const Json* at = options.find("divergence_threshold")) stopping.divergence_threshold = number(*at);
    options.done("early stopping");
    return stopping;
  }

  template <class F>
  void each(F&& f) {
    if (on_validation) f(*on_validation);
    if (on_training) f(*on_training);
  }

  std::optional<fg::EarlyStopping<"val_loss">> on_validation;
  std::optional<fg::EarlyStopping<"train_loss">> on_training;
};

/// When a schedule advances, chosen when the program runs.
struct AnyInterval {
  enum class Kind { never, step, epoch } kind = Kind::never;
  std::int64_t frequency = 1;

  bool due_after_step(const fg::SchedulePoint& point) const {
    return kind == Kind::step && fg::EveryBatch{frequency}.due_after_step(point);
  }
  bool due_after_epoch(const fg::SchedulePoint& point) const {
    return kind == Kind::epoch && fg::EveryEpoch{frequency}.due_after_epoch(point);
  }
  const char* problem() const { return fg::EveryEpoch{frequency}.problem(); }
};

/// A clipping policy chosen when the program runs.
struct AnyClip {
  using slot = fg::slots::Clipping;
  enum class Kind { none, norm, value } kind = Kind::none;
  double max = 1.0;

  void clip(auto& gradients) const {
    if (kind == Kind::norm) fg::ClipNorm{.max = max}.clip(gradients);
    if (kind == Kind::value) fg::ClipValue{.max = max}.clip(gradients);
  }
  friend std::ostream& operator<<(std::ostream& out, const AnyClip& clip) {
    return out << "AnyClip{" << clip.max << '}';
  }
};

/// The trainer's clipping in a configuration.
inline AnyClip clipping_of(const Json& config) {
  const Json trainer = config.value("trainer", Json::object());
  const Json given = trainer.value("gradient_clip_val", Json());
  const double max = given.is_null() ? 0.0 : number(given);
  if (max == 0.0) return {};
  const auto algorithm = trainer.value("gradient_clip_algorithm", Json());
  if (algorithm.is_null() || algorithm == "norm") return {AnyClip::Kind::norm, max};
  if (algorithm == "value") return {AnyClip::Kind::value, max};
  throw std::runtime_error("no clipping is known as " + algorithm.dump());
}

/// A loss scale without autocast: the arithmetic stays that of the model, and powers of two lose no bits.
struct ScaledLoss {
  using slot = fg::slots::Precision;
  static constexpr fg::NumberFormat parameters = fg::NumberFormat::unchanged;
  static constexpr fg::NumberFormat autocast = fg::NumberFormat::unchanged;

  fg::LossScaleOptions options;

  fg::LossScaleOptions loss_scale() const { return options; }
  const char* problem() const { return options.problem(); }
  friend bool operator==(const ScaledLoss&, const ScaledLoss&) = default;
  friend std::ostream& operator<<(std::ostream& out, const ScaledLoss& scaled) {
    return out << "ScaledLoss{" << scaled.options.initial_scale << '}';
  }
};

}  // namespace parity::golden
