// SPDX-License-Identifier: MIT
// Slots: when a fit ends and how much of a range it takes. Limits, and when validation comes (validation.hpp), are run-time
// values and change no code, so a trainer may be given them without naming them among its template arguments.
#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include <fulgurite/detail/print.hpp>
#include "batch_limit.hpp"
#include "validation.hpp"

namespace fulgurite {

namespace slots {
struct MaxEpochs;
struct MaxSteps;
struct MaxTime;
struct MinEpochs;
struct MinSteps;
struct LimitBatches;
struct FastDevRun;
struct LogEvery;
}  // namespace slots

/// `fit` ends after so many epochs in all. Without any of `MaxEpochs`, `MaxSteps` and `MaxTime` it ends after 1000.
struct MaxEpochs {
  using slot = slots::MaxEpochs;
  std::int64_t count = 1000;  ///< 0 trains nothing

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MaxEpochs must be 0 or more"; }

  friend constexpr bool operator==(MaxEpochs, MaxEpochs) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxEpochs limit) {
    return detail::print(out, "MaxEpochs", detail::field("count", limit.count));
  }
};

/// `fit` ends after the batch in which `global_step` reaches this number, be it in the middle of an epoch.
struct MaxSteps {
  using slot = slots::MaxSteps;
  std::int64_t count = 0;  ///< optimizer steps; 0 trains nothing

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MaxSteps must be 0 or more"; }

  friend constexpr bool operator==(MaxSteps, MaxSteps) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxSteps limit) {
    return detail::print(out, "MaxSteps", detail::field("count", limit.count));
  }
};

/// Asks `fit` to stop once this much time has passed since it began (in a resumed fit: together with the time before the
/// checkpoint), as `step.stop()` does: the running batch is finished,
/// a validation follows, and `MinEpochs` and `MinSteps` come first.
struct MaxTime {
  using slot = slots::MaxTime;
  std::chrono::duration<double> duration{};  ///< any std::chrono duration converts: `MaxTime{std::chrono::minutes{20}}`

  constexpr const char* problem() const {
    return duration.count() >= 0.0 ? nullptr : "MaxTime must be 0 or more seconds";
  }

  friend constexpr bool operator==(MaxTime, MaxTime) = default;
  friend std::ostream& operator<<(std::ostream& out, MaxTime limit) {
    return out << "MaxTime{.duration = " << limit.duration.count() << " s}";
  }
};

/// A request to stop (`step.stop()`, `EarlyStopping`, `MaxTime`) is obeyed only when so many epochs have ended. One that
/// comes earlier is kept until then. The other limits don't wait: a smaller `MaxEpochs` or `MaxSteps` wins.
struct MinEpochs {
  using slot = slots::MinEpochs;
  std::int64_t count = 0;  ///< epochs in all

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MinEpochs must be 0 or more"; }

  friend constexpr bool operator==(MinEpochs, MinEpochs) = default;
  friend std::ostream& operator<<(std::ostream& out, MinEpochs limit) {
    return detail::print(out, "MinEpochs", detail::field("count", limit.count));
  }
};

/// The same for optimizer steps: a request that was kept ends the fit in the very batch that reaches this number.
struct MinSteps {
  using slot = slots::MinSteps;
  std::int64_t count = 0;  ///< optimizer steps in all

  constexpr const char* problem() const { return count >= 0 ? nullptr : "MinSteps must be 0 or more"; }

  friend constexpr bool operator==(MinSteps, MinSteps) = default;
  friend std::ostream& operator<<(std::ostream& out, MinSteps limit) {
    return detail::print(out, "MinSteps", detail::field("count", limit.count));
  }
};

/// Takes only so much of the ranges in every epoch: `LimitBatches{.train = fg::Batches{10}}`.
struct LimitBatches {
  using slot = slots::LimitBatches;
  BatchLimit train{};       ///< of the training range; Batches{0} trains nothing
  BatchLimit validation{};  ///< of the validation range; Batches{0} validates nothing

  constexpr const char* problem() const {
    if (!train.makes_sense()) return "LimitBatches.train must be Batches of 0 or more, or a Fraction in [0, 1]";
    if (!validation.makes_sense()) return "LimitBatches.validation must be Batches of 0 or more, or a Fraction in [0, 1]";
    return nullptr;
  }

  friend constexpr bool operator==(const LimitBatches&, const LimitBatches&) = default;
  friend std::ostream& operator<<(std::ostream& out, const LimitBatches& limit) {
    return detail::print(out, "LimitBatches", detail::field("train", limit.train),
                         detail::field("validation", limit.validation));
  }
};

/// A rehearsal: one epoch of so many batches, with one validation of as many. It overrides all other limits that the trainer
/// was given and `ValidateEvery`, and leaves out what would judge its numbers: `SanityCheck` and `EarlyStopping`.
struct FastDevRun {
  using slot = slots::FastDevRun;
  std::int64_t batches = 1;  ///< of training and of validation

  constexpr const char* problem() const {
    return batches >= 1 ? nullptr : "FastDevRun.batches must be 1 or more; for a whole training leave FastDevRun out";
  }

  friend constexpr bool operator==(FastDevRun, FastDevRun) = default;
  friend std::ostream& operator<<(std::ostream& out, FastDevRun run) {
    return detail::print(out, "FastDevRun", detail::field("batches", run.batches));
  }
};

/// Loggers get what every `steps`-th of the batches logs that step the optimizers.
struct LogEvery {
  using slot = slots::LogEvery;
  std::int64_t steps = 50;  ///< at least 1

  constexpr const char* problem() const { return steps >= 1 ? nullptr : "LogEvery must be 1 or more steps"; }

  friend constexpr bool operator==(LogEvery, LogEvery) = default;
  friend std::ostream& operator<<(std::ostream& out, LogEvery limit) {
    return detail::print(out, "LogEvery", detail::field("steps", limit.steps));
  }
};

/// All limits of a trainer, as the loop reads them.
struct Limits {
  std::optional<std::int64_t> max_epochs;
  std::optional<std::int64_t> max_steps;
  std::optional<std::chrono::duration<double>> max_time;
  std::int64_t min_epochs = 0;
  std::int64_t min_steps = 0;
  LimitBatches batches;
  ValidationTimes validation;
  std::int64_t sanity_batches = 0;
  bool is_rehearsal = false;
  LogEvery log_every;

  void set(MaxEpochs limit) { max_epochs = limit.count; }
  void set(MaxSteps limit) { max_steps = limit.count; }
  void set(MaxTime limit) { max_time = limit.duration; }
  void set(MinEpochs limit) { min_epochs = limit.count; }
  void set(MinSteps limit) { min_steps = limit.count; }
  void set(const LimitBatches& limit) { batches = limit; }
  void set(const ValidateEvery& times) { validation = times; }
  void set(ValidateAcrossEpochs times) { validation = times; }
  void set(SanityCheck check) { sanity_batches = check.batches; }
  void set(FastDevRun run) {
    *this = Limits{};
    max_epochs = 1;
    batches = {.train = Batches{run.batches}, .validation = Batches{run.batches}};
    is_rehearsal = true;
  }
  void set(LogEvery limit) { log_every = limit; }

  /// The limits that only a fit looks at, as the subject of a sentence, "fg::MaxSteps and fg::ValidateEvery do"; empty if
  /// none is given.
  std::string idle_in_own_loop() const {
    std::vector<std::string> names;
    if (is_rehearsal) {
      names.push_back("fg::FastDevRun");
    } else {
      if (max_epochs) names.push_back("fg::MaxEpochs");
      if (max_steps) names.push_back("fg::MaxSteps");
      if (max_time) names.push_back("fg::MaxTime");
      if (min_epochs > 0) names.push_back("fg::MinEpochs");
      if (min_steps > 0) names.push_back("fg::MinSteps");
      if (batches.train != BatchLimit{}) names.push_back("the training part of fg::LimitBatches");
      if (validation.across_epochs()) names.push_back("fg::ValidateAcrossEpochs");
      if (!validation.across_epochs() && !validation.at_epoch_ends()) names.push_back("fg::ValidateEvery");
      if (sanity_batches > 0) names.push_back("fg::SanityCheck");
    }
    std::string text;
    for (std::size_t i = 0; i < names.size(); ++i) {
      text += (i == 0 ? "" : i + 1 == names.size() ? " and " : ", ") + names[i];
    }
    return names.empty() ? text : text + (names.size() == 1 ? " does" : " do");
  }

  /// 1000 unless some limit was given; nothing means no end.
  std::optional<std::int64_t> epochs() const {
    if (max_epochs || max_steps || max_time) return max_epochs;
    return MaxEpochs{}.count;
  }
};

/// Concept of these slots.
template <class P>
concept Limit = requires(Limits& limits, const P& limit) { limits.set(limit); };

namespace slots {
struct MaxEpochs {
  template <class P>
  static constexpr bool accepts = Limit<P>;
};
struct MaxSteps : MaxEpochs {};
struct MaxTime : MaxEpochs {};
struct MinEpochs : MaxEpochs {};
struct MinSteps : MaxEpochs {};
struct LimitBatches : MaxEpochs {};
struct Validation : MaxEpochs {};
struct SanityCheck : MaxEpochs {};
struct FastDevRun : MaxEpochs {};
struct LogEvery : MaxEpochs {};
}  // namespace slots

}  // namespace fulgurite
