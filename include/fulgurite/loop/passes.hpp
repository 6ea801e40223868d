// SPDX-License-Identifier: MIT
// Passes over a range that update nothing: validation, and the forward pass that refreshes batch-norm statistics.
#pragma once

#include <boost/hana/unpack.hpp>

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include <fulgurite/concepts/batches.hpp>
#include <fulgurite/detail/inline.hpp>
#include <fulgurite/hooks.hpp>
#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/batch_limit.hpp>

namespace fulgurite::detail {

/// Calls `act`; errors that leave it tell of which batch they are, where the backend can add that.
template <class Engine, class Batch, class Act>
FULGURITE_INLINE inline decltype(auto) in_context(Engine& engine, const Batch& batch, Stage stage, const std::int64_t& index,
                                                  const Act& act) {
  if constexpr (Engine::Backend::explains_errors) {
    return engine.backend().in_context(batch, [&] { return engine.place(stage, index); }, act);
  } else {
    return act();
  }
}

/// Throws std::invalid_argument for a validation range that holds no batch, if that can be told without walking it.
template <class Range>
void require_batches_to_validate(Range& range, const BatchLimit& limit) {
  if (limit.takes_none() || !data::is_known_to_be_empty(range)) return;
  throw std::invalid_argument("fulgurite: the validation range is empty: give a range that holds at least one batch; to "
                              "validate nothing, give none, or fg::LimitBatches{.validation = fg::Batches{0}}");
}

/// The batches of a validation, inside of what the validation_scope hooks give. Returns their number.
template <class Engine, class Range>
std::int64_t validate_batches(Engine& engine, Range& range, std::int64_t limit) {
  auto start = engine.edge(Stage::validation);
  [[maybe_unused]] auto scope = boost::hana::unpack(engine.callbacks(), [&](auto&... callback) {
    return hooks::guards_of<hooks::validation_scope_hook>(start, callback..., engine.model());
  });
  engine.template notify<hooks::on_validation_epoch_start_hook>(start);
  std::int64_t index = 0;
  const std::int64_t count = data::for_each_batch(range, limit, [&](const auto& given, bool last) {
    decltype(auto) batch = engine.backend().take(given);
    typename Engine::Step step(engine, {Stage::validation, &index, last, engine.backend().batch_size(batch)});
    engine.template notify<hooks::on_validation_batch_start_hook>(batch, step);
    in_context(engine, batch, Stage::validation, index, [&] {
      [[maybe_unused]] auto autocast = engine.backend().forward_guard();
      hooks::call<hooks::validation_step_hook>(engine.model(), batch, step);
    });
    engine.template notify<hooks::on_validation_batch_end_hook>(batch, step);
    ++index;
    return true;
  });
  engine.template notify<hooks::on_validation_epoch_end_hook>(engine.edge(Stage::validation));
  return count;
}

/// One pass of validation_step over `range`, in evaluation mode and without gradients, and `after()` at its end. `limit` of
/// its batches, or all; a limit of 0 leaves the pass out. Throws std::invalid_argument if the range gave no batch.
template <class Engine, class Range, class After>
void walk_validation(Engine& engine, Range& range, std::optional<std::int64_t> limit, After&& after) {
  if (limit == 0) return;
  data::begin_epoch(range, 0);  // validation sees one order, whatever the epoch
  [[maybe_unused]] auto guard = engine.backend().evaluation_guard(engine.model());
  engine.metrics().begin_epoch(Stage::validation);
  engine.template notify<hooks::on_validation_start_hook>(engine.edge(Stage::validation));
  if (validate_batches(engine, range, limit.value_or(data::no_limit)) == 0) {
    throw std::invalid_argument(
        "fulgurite: the validation range gave no batch: give a range that holds at least one, and that "
        "can be walked at each validation (a single-pass range is spent after the first)");
  }
  engine.template notify<hooks::on_validation_end_hook>(engine.edge(Stage::validation));
  after();
}

/// While it lives, everything that is logged has a prefix before its name, after that of one around it.
class LogPrefix {
 public:
  LogPrefix(Metrics& metrics, std::string_view prefix)
      : metrics_(&metrics),
        prefix_(std::string(metrics.prefix()) + std::string(prefix)),
        listener_{&log_again, this, prefix_} {
    if (!prefix_.empty()) before_ = metrics_->set_listener(&listener_);
  }
  LogPrefix(const LogPrefix&) = delete;
  LogPrefix& operator=(const LogPrefix&) = delete;
  ~LogPrefix() { metrics_->set_listener(before_); }

 private:
  /// The metrics take what is logged meanwhile; afterwards the prefix is back, even if they refused it.
  struct Paused {
    LogPrefix& prefix;
    explicit Paused(LogPrefix& of) : prefix(of) { prefix.metrics_->set_listener(nullptr); }
    Paused(const Paused&) = delete;
    Paused& operator=(const Paused&) = delete;
    ~Paused() { prefix.metrics_->set_listener(&prefix.listener_); }
  };

  static void log_again(void* self, const LogCall& call) {
    LogPrefix& prefix = *static_cast<LogPrefix*>(self);
    const Paused paused{prefix};
    const std::string name = prefix.prefix_ + std::string(call.name);
    prefix.metrics_->log(name, call.number, call.weight, call.flags, call.stage, call.place);
  }

  Metrics* metrics_;
  std::string prefix_;
  LogListener listener_;
  const LogListener* before_ = nullptr;
};

/// A pass of which loggers are told. `prefix` comes before the name of everything that is logged in it.
template <class Engine, class Range>
void validate(Engine& engine, Range& range, std::optional<std::int64_t> limit, std::string_view prefix = {}) {
  const LogPrefix prefixed(engine.metrics(), prefix);
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
    in_context(engine, batch, Stage::training, index, [&] {
      [[maybe_unused]] auto guard = engine.backend().forward_guard();
      hooks::training_step_hook::call(engine.model(), batch, step);
    });
    ++index;
    return true;
  });
}

}  // namespace fulgurite::detail
