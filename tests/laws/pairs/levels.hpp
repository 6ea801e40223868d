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

/// Two levels that are declared to conflict: they have a static_assert of their own.
struct Conflict {
  Factor first;
  int first_level;
  Factor second;
  int second_level;
};

inline constexpr Conflict conflicts[] = {
    // policies/conflicts.hpp
    {optimization, manual, accumulation, accumulate},
    {optimization, manual, accumulation, accumulate_schedule},
    {optimization, manual, clipping, clip_norm},
    {optimization, manual, clipping, clip_value},
    {optimization, manual, clipping, clip_of_optimizer},
    {optimization, manual, interval, every_step},
    {optimization, manual, interval, every_epoch},
    {optimization, manual, interval, every_batch},
    {optimization, manual, execution, frozen},
    {execution, frozen, non_finite, skip},
    // loop/checks.hpp
    {execution, frozen, optimizer, lbfgs},
    {execution, frozen, hooks, within_closure},
    {accumulation, accumulate, optimizer, lbfgs},
    {accumulation, accumulate_schedule, optimizer, lbfgs},
    {non_finite, skip, optimizer, lbfgs},
    {precision, float16_mixed, optimizer, lbfgs},
    // callbacks
    {rate_monitor, on, logger, no_logger},
    {stochastic_average, on, optimizer, two_optimizers},
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
