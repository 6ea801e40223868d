// SPDX-License-Identifier: MIT
// Our schedules behind two types, those that follow a metric and those that don't, made from the names and arguments of
// torch.optim.lr_scheduler.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fulgurite/schedulers.hpp>

#include "any_optimizer.hpp"
#include "json.hpp"

namespace parity {

/// A schedule of any kind but the plateau's, or none. It says that it is composite, and so brings its own runner.
class AnySchedule {
 public:
  /// No schedule: it changes nothing and is never advanced.
  AnySchedule() = default;

  /// A schedule under way, whichever it is.
  struct Runner {
    virtual ~Runner() = default;
    virtual std::unique_ptr<Runner> copy() const = 0;
    virtual void attach(Rates& rates, std::vector<double>& initial_lrs) = 0;
    virtual void advance(Rates& rates) = 0;
    virtual void undo() = 0;
    virtual void begin(Rates& rates) = 0;
    virtual void restart(Rates& rates) = 0;
    virtual void reattach(Rates& rates) = 0;
    virtual fg::ScheduleState state() const = 0;
    virtual void load_state(const fg::ScheduleState& saved) = 0;
    virtual std::int64_t steps() const = 0;
    virtual double last_lr(std::int64_t group) const = 0;
  };

  template <class Schedule>
    requires(!std::same_as<Schedule, AnySchedule>)
  explicit AnySchedule(Schedule schedule) : runner_(std::make_shared<RunnerOf<Schedule>>(std::move(schedule))) {}

  /// Told of each advance, with the new rate of the first group.
  std::function<void(double lr)> on_advance;

  class Running;

 private:
  template <class Schedule>
  class RunnerOf final : public Runner {
   public:
    explicit RunnerOf(Schedule schedule) : running_(std::move(schedule)) {}
    std::unique_ptr<Runner> copy() const override { return std::make_unique<RunnerOf>(*this); }
    void attach(Rates& rates, std::vector<double>& initial_lrs) override { running_.attach(rates, initial_lrs); }
    void advance(Rates& rates) override { running_.advance(rates); }
    void undo() override { running_.undo(); }
    void begin(Rates& rates) override { running_.begin(rates); }
    void restart(Rates& rates) override { running_.restart(rates); }
    void reattach(Rates& rates) override { running_.reattach(rates); }
    fg::ScheduleState state() const override { return running_.state(); }
    void load_state(const fg::ScheduleState& saved) override { running_.load_state(saved); }
    std::int64_t steps() const override { return running_.steps(); }
    double last_lr(std::int64_t group) const override { return running_.last_lr(group); }

   private:
    fg::RunningSchedule<Schedule> running_;
  };

  std::shared_ptr<const Runner> runner_;
};

class AnySchedule::Running {
 public:
  explicit Running(const AnySchedule& schedule)
      : runner_(schedule.runner_ ? schedule.runner_->copy() : nullptr), schedule_(schedule) {}
  Running(const Running& other) : runner_(other.runner_ ? other.runner_->copy() : nullptr), schedule_(other.schedule_) {}
  Running(Running&&) = default;
  Running& operator=(Running&&) = default;

  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
    if (runner_) runner_->attach(lr_view(optimizer), initial_lrs);
  }
  template <class Optimizer>
  void advance(Optimizer& optimizer) {
    runner_->advance(lr_view(optimizer));
    if (schedule_.on_advance) schedule_.on_advance(optimizer.lr(0));
  }
  void undo() { runner_->undo(); }
  template <class Optimizer>
  void begin(Optimizer& optimizer) {
    runner_->begin(lr_view(optimizer));
  }
  template <class Optimizer>
  void restart(Optimizer& optimizer) {
    runner_->restart(lr_view(optimizer));
  }
  template <class Optimizer>
  void reattach(Optimizer& optimizer) {
    runner_->reattach(lr_view(optimizer));
  }
  fg::ScheduleState state() const { return runner_ ? runner_->state() : fg::ScheduleState(); }
  void load_state(const fg::ScheduleState& saved) {
    if (runner_) runner_->load_state(saved);
  }
  std::int64_t steps() const { return runner_->steps(); }
  double last_lr(std::int64_t group = 0) const { return runner_->last_lr(group); }
  const AnySchedule& schedule() const { return schedule_; }

 private:
  static Rates& lr_view(Rates& rates) { return rates; }
  template <bool Reevaluates>
  static Rates& lr_view(AnyOptimizer<Reevaluates>& optimizer) {
    return optimizer.rates();
  }

  std::unique_ptr<Runner> runner_;
  AnySchedule schedule_;
};

/// A plateau schedule whose metric is chosen when the program runs.
class AnyPlateau {
 public:
  using Inner = fg::ReduceLROnPlateau<"any">;
  using State = Inner::State;

  AnyPlateau() = default;
  AnyPlateau(Inner plateau, std::string metric) : plateau_(std::move(plateau)), metric_(std::move(metric)) {
    strict = plateau_.strict;
  }

  bool strict = true;
  /// Told of each advance: the metric, and the new rate of the first group.
  std::function<void(double metric, double lr)> on_advance;

  std::string_view monitor() const { return metric_; }
  State start() const { return plateau_.start(); }
  void advance(State& state, double metric) const {
    plateau_.advance(state, metric);
    *last_metric_ = metric;
  }
  double lr(const State& state, const fg::RatePoint& point) const {
    const double lr = plateau_.lr(state, point);
    if (point.group == 0 && on_advance) on_advance(*last_metric_, lr);
    return lr;
  }
  void save(const State& state, fg::ScheduleState& saved) const { plateau_.save(state, saved); }
  void load(State& state, const fg::ScheduleState& saved) const { plateau_.load(state, saved); }
  void require_groups(std::int64_t count) const { plateau_.require_groups(count); }
  const char* problem() const { return plateau_.problem(); }

 private:
  Inner plateau_;
  std::string metric_;
  std::shared_ptr<double> last_metric_ = std::make_shared<double>();
};

inline fg::PerGroup per_group(const Json& value) {
  return value.is_array() ? fg::PerGroup(numbers(value)) : fg::PerGroup(number(value));
}
inline fg::PerGroup per_group(Arguments& arguments, const std::string& name, double otherwise) {
  const Json* value = arguments.find(name);
  return value ? per_group(*value) : fg::PerGroup(otherwise);
}

/// A schedule of torch.optim.lr_scheduler's name and arguments: {"type", "args", "subs"}. (any_schedule.cpp)
AnySchedule make_schedule(const Json& config);

inline bool is_plateau(const Json& config) { return config.at("type") == "ReduceLROnPlateau"; }

AnyPlateau make_plateau(const Json& config, const std::string& metric);

}  // namespace parity
