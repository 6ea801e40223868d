// SPDX-License-Identifier: MIT
// Passes over a range that update nothing: validation, and the forward pass that refreshes batch-norm statistics.
#pragma once

#include <boost/hana/unpack.hpp>

#include <cstdint>
#include <optional>
#include <utility>

#include <fulgurite/data/batches.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/logging/metrics.hpp>

namespace fulgurite::detail {

/// The batches of a validation, inside of what the validation_scope hooks give.
template <class Engine, class Range>
void validate_batches(Engine& engine, Range& range, std::int64_t limit) {
  auto start = engine.edge(Stage::validation);
  [[maybe_unused]] auto scope = boost::hana::unpack(engine.callbacks(), [&](auto&... callback) {
    return hooks::guards_of<hooks::validation_scope_hook>(start, callback..., engine.model());
  });
  engine.template notify<hooks::on_validation_epoch_start_hook>(start);
  std::int64_t index = 0;
  data::for_each_batch(range, limit, [&](const auto& given, bool last) {
    decltype(auto) batch = engine.backend().take(given);
    typename Engine::Step step(engine, {Stage::validation, &index, last, engine.backend().batch_size(batch)});
    engine.template notify<hooks::on_validation_batch_start_hook>(batch, step);
    {
      [[maybe_unused]] auto autocast = engine.backend().forward_guard();
      hooks::call<hooks::validation_step_hook>(engine.model(), batch, step);
    }
    engine.template notify<hooks::on_validation_batch_end_hook>(batch, step);
    ++index;
    return true;
  });
  engine.template notify<hooks::on_validation_epoch_end_hook>(engine.edge(Stage::validation));
}

/// One pass of validation_step over `range`, in evaluation mode and without gradients, and `after()` at its end. `limit` of its
/// batches, or all; a pass over none is left out.
template <class Engine, class Range, class After>
void walk_validation(Engine& engine, Range& range, std::optional<std::int64_t> limit, After&& after) {
  if (limit == 0) return;
  data::begin_epoch(range, 0);  // validation sees one order, whatever the epoch
  [[maybe_unused]] auto guard = engine.backend().evaluation_guard(engine.model());
  engine.metrics().begin_epoch(Stage::validation);
  engine.template notify<hooks::on_validation_start_hook>(engine.edge(Stage::validation));
  validate_batches(engine, range, limit.value_or(data::no_limit));
  engine.template notify<hooks::on_validation_end_hook>(engine.edge(Stage::validation));
  after();
}

/// The same, of which loggers are told.
template <class Engine, class Range>
void validate(Engine& engine, Range& range, std::optional<std::int64_t> limit) {
  walk_validation(engine, range, limit, [&] {
    if constexpr (Engine::has_logger) engine.logbook().after_epoch(engine, Stage::validation);
  });
}

/// What is logged in its scope is forgotten.
struct KeptMetrics {
  Metrics& metrics;
  Metrics kept = metrics;
  ~KeptMetrics() { metrics = std::move(kept); }
};

/// training_step on every batch of `range` and nothing else: no backward, no update, no hook, and logs go nowhere.
/// Gradients are recorded unless the caller forbids it. Returns the number of batches.
template <class Engine, class Range>
  requires(!Engine::manual && Engine::optimizer_count == 1)
std::int64_t pass_forward(Engine& engine, Range& range, std::int64_t limit) {
  const KeptMetrics kept{engine.metrics()};
  std::int64_t index = 0;
  return data::for_each_batch(range, limit, [&](const auto& given, bool last) {
    decltype(auto) batch = engine.backend().take(given);
    typename Engine::Step step(engine, {Stage::training, &index, last, engine.backend().batch_size(batch)});
    [[maybe_unused]] auto guard = engine.backend().forward_guard();
    hooks::training_step_hook::call(engine.model(), batch, step);
    ++index;
    return true;
  });
}

}  // namespace fulgurite::detail
