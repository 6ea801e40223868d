// SPDX-License-Identifier: MIT
// What a trainer can be made of, as numbers: factors, and the levels of each. Level 0 goes together with everything.
#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string_view>

namespace pairs {

enum Factor : std::size_t {
  optimization,
  accumulation,
  clipping,
  interval,
  precision,
  device,
  execution,
  non_finite,
  end,
  validation,
  optimizer,
  schedule,
  early_stopping,
  model_checkpoint,
  rate_monitor,
  progress_bar,
  exponential_average,
  stochastic_average,
  logger,
  hooks,
  factor_count,
};

enum Optimization { automatic, manual };
enum Accumulation { no_accumulation, accumulate, accumulate_schedule };
enum Clipping { no_clipping, clip_norm, clip_value, clip_of_optimizer };
enum Interval { no_interval, every_step, every_epoch, every_batch };
enum Precision { as_the_model, float32, float64, bfloat16_mixed, float16_mixed, bfloat16_true };
enum Device { no_device, cpu };
enum Execution { no_execution, eager, frozen };
enum NonFinite { stop, skip, ignore };
enum End { max_epochs, max_steps, max_time, minima, rehearsal };
enum Validation { no_validation, at_epoch_end, validate_every, validate_across_epochs, sanity_check };
enum Optimizer { sgd, adamw, lbfgs, torch_rmsprop, two_optimizers };
enum Schedule { no_schedule, exponential_decay, plateau };
enum EveryOrNot { off, on, every_few_steps };  // a callback; the third is for the checkpoint only
enum Logger { no_logger, csv, json_lines };
enum Hooks { no_hooks, within_closure, around_update };

inline constexpr std::array<int, factor_count> level_count{2, 3, 4, 4, 6, 2, 3, 3, 5, 5, 5, 3, 2, 3, 2, 2, 2, 2, 3, 3};

/// For the message of a row that fails.
inline constexpr std::array<std::string_view, factor_count> names{
    "optimization", "accumulation",   "clipping",         "interval",     "precision",    "device",
    "execution",    "non_finite",     "end",              "validation",   "optimizer",    "schedule",
    "early_stopping", "model_checkpoint", "rate_monitor", "progress_bar", "exponential_average",
    "stochastic_average", "logger", "hooks"};

/// A trainer: a level of each factor.
using Row = std::array<int, factor_count>;

/// A program in tests/fail, and what its refusal says.
struct Misuse {
  std::string_view program;
  std::string_view words;
};

// policies/conflicts.hpp
inline constexpr Misuse manual_and_accumulation{"policies/manual_and_accumulation.cpp",
                                                "ManualOptimization cannot go together with an accumulation policy"};
inline constexpr Misuse manual_and_clipping{"policies/manual_and_clipping.cpp",
                                            "ManualOptimization cannot go together with a clipping policy"};
inline constexpr Misuse manual_and_own_clipping{
    "policies/manual_and_own_clipping.cpp", "ManualOptimization cannot go together with an optimizer's own clipping policy"};
inline constexpr Misuse manual_and_interval{"policies/manual_and_interval.cpp",
                                            "ManualOptimization cannot go together with a scheduler interval"};
inline constexpr Misuse manual_and_frozen{"policies/manual_and_frozen.cpp", "fg::Frozen needs automatic optimization"};
inline constexpr Misuse frozen_and_skip{"policies/frozen_and_skip.cpp", "too late for fg::SkipNonFinite"};
// loop/checks.hpp
inline constexpr Misuse frozen_and_lbfgs{"torch/frozen/lbfgs.cpp", "an optimizer that re-evaluates its closure (LBFGS)"};
inline constexpr Misuse frozen_and_hook_within{"torch/frozen/hook_within.cpp", "fg::Frozen cannot repeat the hooks"};
inline constexpr Misuse lbfgs_and_accumulation{"model/closure_optimizer_accumulates.cpp",
                                               "optimizer that re-evaluates its closure (LBFGS) cannot accumulate"};
inline constexpr Misuse lbfgs_and_skip{"model/closure_optimizer_with_skip_policy.cpp",
                                       "an optimizer that re-evaluates its closure (LBFGS) cannot skip a batch"};
inline constexpr Misuse lbfgs_and_loss_scale{
    "torch/loop/lbfgs_with_loss_scale.cpp",
    "needs an optimizer that can skip an overflowed step, and one that re-evaluates its closure (LBFGS) cannot"};
// callbacks
inline constexpr Misuse monitor_without_logger{"logging/monitor_without_logger.cpp",
                                               "fg::LearningRateMonitor writes to loggers, and the trainer has none"};
inline constexpr Misuse average_of_two{"torch/callbacks/average_of_two_optimizers.cpp",
                                       "fg::StochasticWeightAveraging needs a model with one optimizer"};

/// Two levels that are declared to conflict, which a misuse shows.
struct Conflict {
  Factor first;
  int first_level;
  Factor second;
  int second_level;
  Misuse misuse;
};

inline constexpr Conflict conflicts[] = {
    {optimization, manual, accumulation, accumulate, manual_and_accumulation},
    {optimization, manual, accumulation, accumulate_schedule, manual_and_accumulation},
    {optimization, manual, clipping, clip_norm, manual_and_clipping},
    {optimization, manual, clipping, clip_value, manual_and_clipping},
    {optimization, manual, clipping, clip_of_optimizer, manual_and_own_clipping},
    {optimization, manual, interval, every_step, manual_and_interval},
    {optimization, manual, interval, every_epoch, manual_and_interval},
    {optimization, manual, interval, every_batch, manual_and_interval},
    {optimization, manual, execution, frozen, manual_and_frozen},
    {execution, frozen, non_finite, skip, frozen_and_skip},
    {execution, frozen, optimizer, lbfgs, frozen_and_lbfgs},
    {execution, frozen, hooks, within_closure, frozen_and_hook_within},
    {accumulation, accumulate, optimizer, lbfgs, lbfgs_and_accumulation},
    {accumulation, accumulate_schedule, optimizer, lbfgs, lbfgs_and_accumulation},
    {non_finite, skip, optimizer, lbfgs, lbfgs_and_skip},
    {precision, float16_mixed, optimizer, lbfgs, lbfgs_and_loss_scale},
    {rate_monitor, on, logger, no_logger, monitor_without_logger},
    {stochastic_average, on, optimizer, two_optimizers, average_of_two},
};

constexpr bool go_together(std::size_t first, int first_level, std::size_t second, int second_level) {
  for (const Conflict& conflict : conflicts) {
    const bool as_listed = conflict.first == first && conflict.first_level == first_level && conflict.second == second &&
                           conflict.second_level == second_level;
    const bool turned = conflict.first == second && conflict.first_level == second_level && conflict.second == first &&
                        conflict.second_level == first_level;
    if (as_listed || turned) return false;
  }
  return true;
}

/// Calls f(first, first_level, second, second_level) for every pair of levels that go together.
template <class F>
constexpr void for_each_pair(F&& f) {
  for (std::size_t first = 0; first < factor_count; ++first) {
    for (std::size_t second = first + 1; second < factor_count; ++second) {
      for (int i = 0; i < level_count[first]; ++i) {
        for (int j = 0; j < level_count[second]; ++j) {
          if (go_together(first, i, second, j)) f(first, i, second, j);
        }
      }
    }
  }
}

constexpr bool has(const Row& row, std::size_t first, int i, std::size_t second, int j) {
  return row[first] == i && row[second] == j;
}

constexpr bool covers_all_pairs(std::span<const Row> rows) {
  bool all = true;
  for_each_pair([&](std::size_t first, int i, std::size_t second, int j) {
    bool covered = false;
    for (const Row& row : rows) covered |= has(row, first, i, second, j);
    all &= covered;
  });
  return all;
}

}  // namespace pairs
