// SPDX-License-Identifier: MIT
// What training_step logs, asks its step for and tells it, while it is recorded or checked.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/concepts/step_watcher.hpp>
#include <fulgurite/frozen/frozen_refusal.hpp>
#include <fulgurite/logging/log_flags.hpp>
#include <fulgurite/logging/metric.hpp>
#include <fulgurite/tensors/for_each_tensor.hpp>
#include <fulgurite/tensors/number.hpp>
#include "fingerprint.hpp"

namespace fulgurite::detail {

/// Numbers that a step was asked for, and what it answered.
using AskedNumbers = std::vector<std::pair<StepNumber, std::int64_t>>;

/// What a step says now.
template <class Step>
std::int64_t number_of(const Step& step, StepNumber number) {
  switch (number) {
    case StepNumber::epoch: return step.epoch();
    case StepNumber::is_last_batch: return step.is_last_batch() ? 1 : 0;
    case StepNumber::batch_count: break;
  }
  if constexpr (requires { step.batch_count(); }) {
    return step.batch_count().value_or(-1);
  } else {
    return -1;
  }
}

class StepNotes final : public StepWatcher {
 public:
  /// `logs`: the metrics take what is logged, too; otherwise `repeat` gives it to them.
  template <class Batch>
  StepNotes(const Batch& batch, bool logs) : logs_(logs) {
    for_each_tensor(batch, [this](const at::Tensor& tensor) {
      if (!tensor.defined()) return;
      sizes_.push_back(tensor.numel());
      sizes_.insert(sizes_.end(), tensor.sizes().begin(), tensor.sizes().end());
    });
  }

  bool on_log(const StepLog& call) override {
    const at::Tensor* tensor = call.number.source<at::Tensor>();
    if (!tensor) {
      refuse(log_of(call.name),
             "a number on the host would stay what it was: log a tensor, or log it in on_train_batch_end");
    } else if (call.weight && !is_size(*call.weight)) {
      refuse(log_of(call.name),
             "its fg::Weight is a number on the host that is not a size of the batch, and would stay what "
             "it was: leave it out (the batch size is taken), or log in on_train_batch_end");
    } else {
      calls_.push_back({std::string(call.name), *tensor, tensor->_version(), call.weight, call.flags});
    }
    return logs_;
  }
  void on_number(StepNumber number, std::int64_t value) override {
    const auto is_it = [number](const auto& asked) { return asked.first == number; };
    if (std::ranges::none_of(asked_, is_it)) asked_.emplace_back(number, value);
  }
  void on_unrepeatable(const char* call) override {
    if (unrepeatable_) return;
    unrepeatable_.emplace(call,
                          "training_step does not run again when the step is replayed, so what it does there would be done "
                          "once, and what it is told would stay what it was: do it in a hook before or after the step "
                          "(on_train_batch_start, on_train_batch_end), and keep a number that the step needs in a tensor "
                          "which that hook writes");
  }

  const AskedNumbers& asked() const { return asked_; }

  /// A tensor that has changed since it was logged is refused: a replay would log what it became.
  void end_step() {
    for (const Call& call : calls_) {
      if (call.tensor._version() == call.version) continue;
      refuse(log_of(call.name),
             "the tensor is changed in place afterwards (`loss += …`), and a replay logs what it has become: "
             "log a clone(), or write `loss = loss + …`");
    }
  }

  /// Throws FrozenRefusal for what a replay could not repeat.
  void require_repeatable() const {
    if (refusal_) throw FrozenRefusal(*refusal_);
    if (unrepeatable_) throw FrozenRefusal(*unrepeatable_);
  }

  /// Throws FrozenRefusal if the step has logged something else than a replay would, whose notes are `replayed`.
  void require_same_logs(const StepNotes& replayed) const {
    const std::size_t both = std::min(calls_.size(), replayed.calls_.size());
    for (std::size_t i = 0; i < both; ++i) {
      const Call& now = calls_[i];
      const Call& then = replayed.calls_[i];
      if (now.name != then.name || now.flags != then.flags) refuse_other_log(now.name);
      if (now.weight != then.weight) {
        throw FrozenRefusal(log_of(now.name),
                            "its fg::Weight has changed since it was recorded, and would stay what it was: "
                            "log in on_train_batch_end");
      }
      if (same_bits(now.tensor, then.tensor)) continue;
      throw FrozenRefusal(log_of(now.name),
                          "a replay would log another number: the tensor is made from a number on the host, "
                          "which would stay what it was. Log it in on_train_batch_end");
    }
    if (calls_.size() != both) refuse_other_log(calls_[both].name);
    if (replayed.calls_.size() != both) refuse_other_log(replayed.calls_[both].name);
  }

  /// Logs it all again, with what the tensors hold now.
  template <class Step>
  void repeat(const Step& step) const {
    for (const Call& call : calls_) {
      if (call.weight) {
        step.log(call.name, call.tensor, call.flags, Weight{*call.weight});
      } else {
        step.log(call.name, call.tensor, call.flags);
      }
    }
  }

 private:
  struct Call {
    std::string name;
    at::Tensor tensor;
    std::int64_t version;
    std::optional<double> weight;
    LogFlags flags;
  };

  static std::string log_of(std::string_view name) { return "step.log(\"" + std::string(name) + "\", …)"; }

  [[noreturn]] static void refuse_other_log(const std::string& name) {
    throw FrozenRefusal(log_of(name),
                        "the step does not log the same each time, and a replay does: log what comes now and then "
                        "in on_train_batch_end");
  }

  /// Batches that are replayed have the same sizes. (1 may be one by chance.)
  bool is_size(double weight) const {
    return weight > 1.0 &&
           std::ranges::any_of(sizes_, [weight](std::int64_t size) { return static_cast<double>(size) == weight; });
  }

  void refuse(std::string what, std::string reason) {
    if (!refusal_) refusal_.emplace(std::move(what), std::move(reason));
  }

  bool logs_;
  std::vector<std::int64_t> sizes_;
  std::vector<Call> calls_;
  AskedNumbers asked_;
  std::optional<FrozenRefusal> refusal_;       // of something that was logged: it tells more than what it was made from
  std::optional<FrozenRefusal> unrepeatable_;
};

}  // namespace fulgurite::detail
