// SPDX-License-Identifier: MIT
// A schedule of any type behind one: for tests of all schedules, and of each as a part of others.
#pragma once

#include <fulgurite/schedulers.hpp>

#include <cmath>
#include <concepts>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "support/rates.hpp"

namespace toy {

/// Composite, and so with a runner of its own. One that follows a metric gets a value that depends on the step alone.
class AnySchedule {
  using Rates = MomentumRates;

  struct Runner {
    virtual ~Runner() = default;
    virtual std::unique_ptr<Runner> copy() const = 0;
    virtual void attach(Rates& rates, std::vector<double>& initial_lrs) = 0;
    virtual void advance(Rates& rates) = 0;
    virtual void undo() = 0;
    virtual void begin(Rates& rates) = 0;
    virtual void restart(Rates& rates) = 0;
    virtual void reattach(Rates& rates) = 0;
    virtual fulgurite::ScheduleState state() const = 0;
    virtual void load_state(const fulgurite::ScheduleState& saved) = 0;
    virtual void take_over(const fulgurite::ScheduleState& saved) = 0;
    virtual std::int64_t steps() const = 0;
    virtual double last_lr(std::int64_t group) const = 0;
  };

  template <class Schedule>
  class RunnerOf final : public Runner {
    static constexpr bool follows_metric = fulgurite::MetricScheduler<Schedule>;

   public:
    explicit RunnerOf(Schedule schedule) : running_(std::move(schedule)) {}
    std::unique_ptr<Runner> copy() const override { return std::make_unique<RunnerOf>(*this); }
    void attach(Rates& rates, std::vector<double>& initial_lrs) override { running_.attach(rates, initial_lrs); }
    void advance(Rates& rates) override {
      if constexpr (follows_metric) {
        running_.advance(rates, std::cos(static_cast<double>(running_.steps())));
      } else {
        running_.advance(rates);
      }
    }
    void undo() override {
      if constexpr (!follows_metric) running_.undo();
    }
    void begin(Rates& rates) override {
      if constexpr (!follows_metric) running_.begin(rates);
    }
    void restart(Rates& rates) override {
      if constexpr (!follows_metric) running_.restart(rates);
    }
    void reattach(Rates& rates) override {
      if constexpr (!follows_metric) running_.reattach(rates);
    }
    fulgurite::ScheduleState state() const override { return running_.state(); }
    void load_state(const fulgurite::ScheduleState& saved) override { running_.load_state(saved); }
    void take_over(const fulgurite::ScheduleState& saved) override { running_.take_over(saved); }
    std::int64_t steps() const override { return running_.steps(); }
    double last_lr(std::int64_t group) const override { return running_.last_lr(group); }

   private:
    fulgurite::RunningSchedule<Schedule> running_;
  };

 public:
  class Running;

  template <class Schedule>
    requires(!std::same_as<Schedule, AnySchedule>)
  AnySchedule(Schedule schedule)  // NOLINT(google-explicit-constructor)
      : follows_metric_(fulgurite::MetricScheduler<Schedule>),
        start_(std::make_shared<RunnerOf<Schedule>>(std::move(schedule))) {}

  /// It cannot be a part of others.
  bool follows_metric() const { return follows_metric_; }

 private:
  bool follows_metric_;
  std::shared_ptr<const Runner> start_;
};

class AnySchedule::Running {
 public:
  explicit Running(AnySchedule schedule) : runner_(schedule.start_->copy()), schedule_(std::move(schedule)) {}
  Running(const Running& other) : runner_(other.runner_->copy()), schedule_(other.schedule_) {}
  Running(Running&&) = default;

  void attach(Rates& rates, std::vector<double>& initial_lrs) { runner_->attach(rates, initial_lrs); }
  void advance(Rates& rates) { runner_->advance(rates); }
  void undo() { runner_->undo(); }
  void begin(Rates& rates) { runner_->begin(rates); }
  void restart(Rates& rates) { runner_->restart(rates); }
  void reattach(Rates& rates) { runner_->reattach(rates); }
  fulgurite::ScheduleState state() const { return runner_->state(); }
  void load_state(const fulgurite::ScheduleState& saved) { runner_->load_state(saved); }
  void take_over(const fulgurite::ScheduleState& saved) { runner_->take_over(saved); }
  std::int64_t steps() const { return runner_->steps(); }
  double last_lr(std::int64_t group = 0) const { return runner_->last_lr(group); }
  const AnySchedule& schedule() const { return schedule_; }

 private:
  std::unique_ptr<Runner> runner_;
  AnySchedule schedule_;
};

}  // namespace toy
