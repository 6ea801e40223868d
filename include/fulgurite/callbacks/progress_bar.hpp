// SPDX-License-Identifier: MIT
// A callback that shows how far the training is: one line that is drawn again on a terminal, one line an epoch elsewhere.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include <fulgurite/logging/metrics.hpp>
#include <fulgurite/policies/callback.hpp>

namespace fulgurite {

namespace detail {

/// `12 steps/s`, `1.5 steps/s`, or, where a step takes longer than a second, `2.1 s/step`.
inline std::string rate_text(std::int64_t steps, double seconds) {
  if (steps <= 0 || !(seconds > 0.0)) return "? steps/s";
  const double rate = static_cast<double>(steps) / seconds;
  char text[48];
  if (rate < 1.0) {
    std::snprintf(text, sizeof text, "%.1f s/step", 1.0 / rate);
  } else {
    std::snprintf(text, sizeof text, rate < 10.0 ? "%.1f steps/s" : "%.0f steps/s", rate);
  }
  return text;
}

inline std::string shown(const std::string& name, double value) {
  char text[32];
  std::snprintf(text, sizeof text, " %.4g", value);
  return "  " + name + text;
}

}  // namespace detail

/// Shows epoch, batch, steps per second, learning rate and every metric that was logged with `fg::prog_bar`.
struct ProgressBar {
  using slot = slots::Callback;
  static constexpr bool follows_metrics = true;
  using Clock = std::chrono::steady_clock;

  std::FILE* out = stderr;                          ///< where it is drawn
  std::chrono::milliseconds refresh{100};           ///< shortest time between two drawings
  std::optional<bool> redraw = std::nullopt;        ///< draw over the last line; by default if `out` is a terminal

  Clock::time_point epoch_started{};  ///< state, as the next two: not to be set
  Clock::time_point drawn{};
  std::int64_t steps_before = 0;

  void on_train_epoch_start(auto& step) {
    epoch_started = drawn = Clock::now();
    steps_before = step.global_step();
  }

  void on_train_batch_end(const auto& /*result*/, const auto& /*batch*/, auto& step) {
    if (!on_terminal() || Clock::now() - drawn < refresh) return;
    drawn = Clock::now();
    draw(step, step.batch_index() + 1);
  }

  void on_train_epoch_end(auto& step) {
    draw(step, step.progress().batch);
    std::fputc('\n', out);
    std::fflush(out);
  }

 private:
  bool on_terminal() const { return redraw.value_or(isatty(fileno(out)) == 1); }

  void draw(auto& step, std::int64_t batches) const {
    const double seconds = std::chrono::duration<double>(Clock::now() - epoch_started).count();
    char text[160];
    std::string line = on_terminal() ? "\r\033[K" : "";
    const auto total = step.batch_count();
    std::snprintf(text, sizeof text, "epoch %lld  %s%lld/%s batches  %s", static_cast<long long>(step.epoch() + 1),
                  bar(batches, total).c_str(), static_cast<long long>(batches),
                  total ? std::to_string(*total).c_str() : "?",
                  detail::rate_text(step.global_step() - steps_before, seconds).c_str());
    line += text;
    if constexpr (requires { step.optimizers().lr(); }) {
      std::snprintf(text, sizeof text, "  lr %.3g", step.optimizers().lr());
      line += text;
    }
    const auto& metrics = step.metrics().all();
    for (const Metric& metric : metrics) {
      const bool is_newest = std::none_of(metrics.begin(), metrics.end(), [&](const Metric& other) {
        return other.flags.has(prog_bar) && other.name == metric.name && other.has_both() == metric.has_both() &&
               other.call > metric.call;
      });
      if (!metric.flags.has(prog_bar) || !is_newest) continue;
      if (metric.has_both()) line += detail::shown(metric.step_name, metric.last);
      line += detail::shown(metric.epoch_name, metric.value());
    }
    std::fputs(line.c_str(), out);
    std::fflush(out);
  }

  std::string bar(std::int64_t batches, std::optional<std::int64_t> total) const {
    if (!on_terminal() || !total || *total == 0) return "";
    constexpr std::int64_t width = 20;
    const auto full = static_cast<std::size_t>(width * batches / *total);
    return "[" + std::string(full, '#') + std::string(static_cast<std::size_t>(width) - full, '.') + "] ";
  }
};

}  // namespace fulgurite
