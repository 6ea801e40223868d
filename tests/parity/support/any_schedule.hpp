// SPDX-License-Identifier: MIT
// Our schedules behind two types, those that follow a metric and those that don't, made from the names and arguments of
// torch.optim.lr_scheduler.
#pragma once

#include <algorithm>
#include <cmath>
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

using StepFunction = std::function<double(std::int64_t)>;

/// The functions that traces name.
inline StepFunction step_function(const std::string& name) {
  const auto as_double = [](std::int64_t step) { return static_cast<double>(step); };
  if (name == "pow0.95") return [=](std::int64_t n) { return std::pow(0.95, as_double(n)); };
  if (name == "warm10") return [=](std::int64_t n) { return std::min(1.0, as_double(n + 1) / 10.0); };
  if (name == "mul0.97") return [](std::int64_t) { return 0.97; };
  if (name == "inverse") return [=](std::int64_t n) { return 1.0 / (1.0 + 0.1 * as_double(n)); };
  if (name == "alternate") return [](std::int64_t n) { return n % 2 != 0 ? 0.9 : 1.05; };
  if (name == "cycle_inverse") return [=](std::int64_t n) { return 1.0 / as_double(n); };
  if (name == "step_half") return [=](std::int64_t n) { return std::pow(0.5, as_double(n) / 20.0); };
  throw std::runtime_error("no function is known as " + name);
}

/// A schedule of any kind but the plateau's. It says that it is composite, and so brings its own runner.
class AnySchedule {
 public:
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
  explicit Running(const AnySchedule& schedule) : runner_(schedule.runner_->copy()), schedule_(schedule) {}
  Running(const Running& other) : runner_(other.runner_->copy()), schedule_(other.schedule_) {}
  Running(Running&&) = default;
  Running& operator=(Running&&) = default;

  template <class Optimizer>
  void attach(Optimizer& optimizer, std::vector<double>& initial_lrs) {
    runner_->attach(rates_of(optimizer), initial_lrs);
  }
  template <class Optimizer>
  void advance(Optimizer& optimizer) {
    runner_->advance(rates_of(optimizer));
    if (schedule_.on_advance) schedule_.on_advance(optimizer.lr(0));
  }
  void undo() { runner_->undo(); }
  template <class Optimizer>
  void begin(Optimizer& optimizer) {
    runner_->begin(rates_of(optimizer));
  }
  template <class Optimizer>
  void restart(Optimizer& optimizer) {
    runner_->restart(rates_of(optimizer));
  }
  template <class Optimizer>
  void reattach(Optimizer& optimizer) {
    runner_->reattach(rates_of(optimizer));
  }
  fg::ScheduleState state() const { return runner_->state(); }
  void load_state(const fg::ScheduleState& saved) { runner_->load_state(saved); }
  std::int64_t steps() const { return runner_->steps(); }
  double last_lr(std::int64_t group = 0) const { return runner_->last_lr(group); }
  const AnySchedule& schedule() const { return schedule_; }

 private:
  static Rates& rates_of(Rates& rates) { return rates; }
  template <bool Reevaluates>
  static Rates& rates_of(AnyOptimizer<Reevaluates>& optimizer) {
    return optimizer.rates();
  }

  std::unique_ptr<Runner> runner_;
  AnySchedule schedule_;
};

/// A plateau schedule whose metric is chosen when the program runs.
class AnyPlateau {
 public:
  using Inner = fg::Plateau<"any">;
  using State = Inner::State;

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

inline std::optional<fg::MomentumRange> momentum_range(Arguments& arguments, double base, double max) {
  const fg::MomentumRange range{per_group(arguments, "base_momentum", base), per_group(arguments, "max_momentum", max)};
  return arguments.get("cycle_momentum", true) ? std::optional(range) : std::nullopt;
}

inline AnySchedule make_schedule(const Json& config);

namespace detail {

inline AnySchedule make_one_cycle(Arguments& a) {
  fg::OneCycle schedule{.max_lr = per_group(*a.find("max_lr")),
                        .total_steps = a.get("total_steps", std::int64_t{0}),
                        .epochs = a.get("epochs", std::int64_t{0}),
                        .steps_per_epoch = a.get("steps_per_epoch", std::int64_t{0}),
                        .rising = a.get("pct_start", 0.3),
                        .div_factor = a.get("div_factor", 25.0),
                        .final_div_factor = a.get("final_div_factor", 1e4),
                        .anneal = a.get("anneal_strategy", "cos") == "cos" ? fg::Anneal::cosine : fg::Anneal::linear,
                        .three_phase = a.get("three_phase", false),
                        .momentum_range = momentum_range(a, 0.85, 0.95)};
  return AnySchedule(std::move(schedule));
}

inline AnySchedule make_cyclic(Arguments& a) {
  const std::string mode = a.get("mode", "triangular");
  fg::CyclicSchedule schedule{
      .base_lr = per_group(*a.find("base_lr")),
      .max_lr = per_group(*a.find("max_lr")),
      .steps_up = a.get("step_size_up", std::int64_t{2000}),
      .steps_down = {},
      .mode = mode == "triangular"    ? fg::CycleMode::triangular
              : mode == "triangular2" ? fg::CycleMode::triangular2
                                      : fg::CycleMode::exp_range,
      .gamma = a.get("gamma", 1.0),
      .momentum_range = momentum_range(a, 0.8, 0.9)};
  if (const Json* down = a.find("step_size_down")) schedule.steps_down = down->get<std::int64_t>();
  const std::string scale_mode = a.get("scale_mode", "cycle");
  if (const Json* function = a.find("scale_fn")) {
    return AnySchedule(schedule.scaled_by(step_function(function->get<std::string>()),
                                          scale_mode == "cycle" ? fg::ScaleBy::cycle : fg::ScaleBy::step));
  }
  return AnySchedule(std::move(schedule));
}

inline const Json& functions(Arguments& arguments) {
  for (const char* name : {"lr_lambda", "lambda", "fn"}) {
    if (const Json* found = arguments.find(name)) return *found;
  }
  throw std::runtime_error("a schedule of functions without any");
}

template <template <class...> class Schedule>
AnySchedule make_of_functions(const Json& names) {
  if (!names.is_array()) return AnySchedule(Schedule<StepFunction>(step_function(names.get<std::string>())));
  if (names.size() == 2) {
    return AnySchedule(Schedule<StepFunction, StepFunction>(step_function(names[0]), step_function(names[1])));
  }
  throw std::runtime_error("as many functions are not known: " + names.dump());
}

inline AnySchedule make_sequential(const Json& subs, const Json& milestones) {
  const auto at = [&](std::size_t i) { return milestones.at(i).get<std::int64_t>(); };
  if (subs.size() == 2 && milestones.size() == 1) {
    const std::int64_t one[] = {at(0)};
    return AnySchedule(fg::SequentialSchedule(one, make_schedule(subs[0]), make_schedule(subs[1])));
  }
  if (subs.size() == 3 && milestones.size() == 2) {
    const std::int64_t two[] = {at(0), at(1)};
    return AnySchedule(
        fg::SequentialSchedule(two, make_schedule(subs[0]), make_schedule(subs[1]), make_schedule(subs[2])));
  }
  throw std::runtime_error("a sequence of as many schedules is not known");
}

inline AnySchedule make_chained(const Json& subs) {
  if (subs.size() == 2) return AnySchedule(fg::ChainedSchedules(make_schedule(subs[0]), make_schedule(subs[1])));
  if (subs.size() == 3) {
    return AnySchedule(fg::ChainedSchedules(make_schedule(subs[0]), make_schedule(subs[1]), make_schedule(subs[2])));
  }
  throw std::runtime_error("a chain of as many schedules is not known");
}

inline AnySchedule make_schedule(const std::string& type, Arguments& a, const Json& subs) {
  constexpr std::int64_t none = 0;
  if (type == "LambdaLR") return make_of_functions<fg::LambdaSchedule>(functions(a));
  if (type == "MultiplicativeLR") return make_of_functions<fg::MultiplicativeSchedule>(functions(a));
  if (type == "StepLR") return AnySchedule(fg::StepDecay{.step_size = a.get("step_size", none), .gamma = a.get("gamma", 0.1)});
  if (type == "MultiStepLR") {
    auto milestones = a.find("milestones")->get<std::vector<std::int64_t>>();
    std::sort(milestones.begin(), milestones.end());
    return AnySchedule(fg::MultiStepDecay{.milestones = std::move(milestones), .gamma = a.get("gamma", 0.1)});
  }
  if (type == "ConstantLR") {
    return AnySchedule(
        fg::ConstantSchedule{.factor = a.get("factor", 1.0 / 3.0), .steps = a.get("total_iters", std::int64_t{5})});
  }
  if (type == "LinearLR") {
    return AnySchedule(fg::LinearSchedule{.start_factor = a.get("start_factor", 1.0 / 3.0),
                                          .end_factor = a.get("end_factor", 1.0),
                                          .steps = a.get("total_iters", std::int64_t{5})});
  }
  if (type == "ExponentialLR") return AnySchedule(fg::ExponentialDecay{.gamma = a.get("gamma", 0.0)});
  if (type == "PolynomialLR") {
    return AnySchedule(
        fg::PolynomialDecay{.steps = a.get("total_iters", std::int64_t{5}), .power = a.get("power", 1.0)});
  }
  if (type == "CosineAnnealingLR") {
    return AnySchedule(fg::CosineAnnealing{.period = a.get("T_max", none), .min_lr = a.get("eta_min", 0.0)});
  }
  if (type == "CosineAnnealingWarmRestarts") {
    return AnySchedule(fg::CosineWarmRestarts{
        .period = a.get("T_0", none), .multiplier = a.get("T_mult", std::int64_t{1}), .min_lr = a.get("eta_min", 0.0)});
  }
  if (type == "CyclicLR") return make_cyclic(a);
  if (type == "OneCycleLR") return make_one_cycle(a);
  if (type == "SequentialLR") return make_sequential(subs, *a.find("milestones"));
  if (type == "ChainedScheduler") return make_chained(subs);
  throw std::runtime_error("no schedule is known as " + type);
}

}  // namespace detail

/// A schedule of torch.optim.lr_scheduler's name and arguments: {"type", "args", "subs"}.
inline AnySchedule make_schedule(const Json& config) {
  const auto type = config.at("type").get<std::string>();
  Arguments arguments(config.value("args", Json::object()));
  AnySchedule schedule = detail::make_schedule(type, arguments, config.value("subs", Json::array()));
  arguments.done(type);
  return schedule;
}

inline bool is_plateau(const Json& config) { return config.at("type") == "ReduceLROnPlateau"; }

inline AnyPlateau make_plateau(const Json& config, const std::string& metric) {
  Arguments a(config.value("args", Json::object()));
  AnyPlateau::Inner plateau;
  plateau.mode = a.get("mode", "min") == "min" ? fg::MetricMode::min : fg::MetricMode::max;
  plateau.factor = a.get("factor", 0.1);
  plateau.patience = a.get("patience", std::int64_t{10});
  plateau.threshold = a.get("threshold", 1e-4);
  plateau.threshold_mode = a.get("threshold_mode", "rel") == "rel" ? fg::ThresholdMode::relative : fg::ThresholdMode::absolute;
  plateau.cooldown = a.get("cooldown", std::int64_t{0});
  plateau.min_lr = per_group(a, "min_lr", 0.0);
  plateau.eps = a.get("eps", 1e-8);
  plateau.strict = config.value("strict", true);
  a.done("ReduceLROnPlateau");
  return AnyPlateau(plateau, metric);
}

}  // namespace parity
