// SPDX-License-Identifier: MIT
// What the hooks around a fit are handed: `fg::Run`, and what only the fit knows.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include <fulgurite/concepts/batches.hpp>
#include <fulgurite/detail/engine_access.hpp>
#include <fulgurite/policies/limits.hpp>
#include "passes.hpp"
#include "step.hpp"

namespace fulgurite::detail {

/// The `run` of on_fit_start, on_train_start, on_train_end and on_fit_end.
template <class Engine, class Train>
class FitRun : public Run {
 public:
  FitRun(Engine& engine, Train& train, bool validates, const Limits& limits)
      : Run(engine.progress(), engine.stop_requested()),
        engine_(&engine),
        train_(&train),
        validates_(validates),
        limits_(&limits) {}

  /// The model that is trained.
  auto& model() const { return engine_->model(); }

  /// Has `act(engine)` called when the hooks of this place in the fit have all run. For fg::save_checkpoint.
  void when_at_rest(std::function<void(Engine&)> act) const { engine_->when_at_rest(std::move(act)); }

  /// Epochs in all after which the fit ends; nothing if no limit counts them.
  std::optional<std::int64_t> max_epochs() const { return limits_->epochs(); }

  /// When whoever follows a metric finds new values: at on_train_epoch_end, or (false) at on_validation_end, since
  /// validations come at other times than epochs end.
  bool metrics_come_with_epochs() const { return !validates_ || limits_->validation.at_epoch_ends(); }

  /// The fit is a `FastDevRun`: its numbers mean nothing.
  bool is_rehearsal() const { return limits_->is_rehearsal; }

  /// training_step on every batch of the training range and nothing else: no backward, no update, no hook, and logs go
  /// nowhere. Returns the number of batches. Manual optimization has none, since its training_step updates by itself; nor
  /// have several optimizers, since each has a training_step of its own.
  std::int64_t pass_forward() const
    requires(!Engine::manual && Engine::optimizer_count == 1)
  {
    data::begin_epoch(*train_, epoch());
    const auto limit = limits_->batches.train.of(data::batch_count(*train_), "training");
    return detail::pass_forward(*engine_, *train_, limit.value_or(data::no_limit));
  }

 private:
  friend EngineAccess;

  Engine* engine_;
  Train* train_;
  bool validates_;
  const Limits* limits_;
};

}  // namespace fulgurite::detail
