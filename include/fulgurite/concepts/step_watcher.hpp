// SPDX-License-Identifier: MIT
// What training_step asks its step for, and what it tells it, while the step is recorded: it will be repeated without its
// code.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <fulgurite/detail/inline.hpp>
#include <fulgurite/logging/log_flags.hpp>
#include <fulgurite/logging/number.hpp>

namespace fulgurite::detail {

/// One call of `step.log`.
struct StepLog {
  std::string_view name;
  const Number& number;  ///< `number.source<at::Tensor>()` is the tensor itself, for as long as the call lasts
  LogFlags flags;
  std::optional<double> weight;  ///< std::nullopt: that of the batch
};

/// Numbers of a step that many batches share, so that what was recorded with one serves all batches that have the same.
enum class StepNumber { epoch, is_last_batch, batch_count };

/// Is called for what one training_step does with its step.
class StepWatcher {
 public:
  StepWatcher() = default;
  StepWatcher(const StepWatcher&) = delete;
  StepWatcher& operator=(const StepWatcher&) = delete;

  /// Returns whether the metrics take the call too.
  virtual bool on_log(const StepLog& call) = 0;
  virtual void on_number(StepNumber number, std::int64_t value) = 0;
  /// `call` gives another value in each batch, or does something on the host.
  virtual void on_unrepeatable(const char* call) = 0;

 protected:
  ~StepWatcher() = default;
};

/// Of the training_step that runs on this thread; nullptr: none.
inline constinit thread_local StepWatcher* step_watcher = nullptr;

FULGURITE_INLINE inline void watch(StepNumber number, std::int64_t value) {
  if (step_watcher) [[unlikely]] step_watcher->on_number(number, value);
}
FULGURITE_INLINE inline void watch(const char* call) {
  if (step_watcher) [[unlikely]] step_watcher->on_unrepeatable(call);
}

/// For a scope: `watcher` watches the training_step of this thread.
class WatchingStep {
 public:
  explicit WatchingStep(StepWatcher& watcher) : outer_(step_watcher) { step_watcher = &watcher; }
  WatchingStep(const WatchingStep&) = delete;
  WatchingStep& operator=(const WatchingStep&) = delete;
  ~WatchingStep() { step_watcher = outer_; }

 private:
  StepWatcher* outer_;
};

}  // namespace fulgurite::detail
