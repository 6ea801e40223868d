// SPDX-License-Identifier: MIT
// Compiled once for all tests of traces: the library's schedules behind two types.
#include "any_schedule.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fulgurite/schedulers.hpp>

namespace parity {

namespace {

using StepFunction = std::function<double(std::int64_t)>;

/// The functions that traces name.
StepFunction step_function(const std::string& name) {
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

/// One of the words that an argument may be.
template <class Value>
Value one_of(Arguments& arguments, const std::string& name, const char* otherwise, const std::map<std::string, Value>& known) {
  const auto word = arguments.get(name, otherwise);
  const auto found = known.find(word);
  if (found == known.end()) throw std::runtime_error("no " + name + " is known as " + word);
  return found->second;
}

/// What a configuration may say of a schedule; what it is advanced by, and by what metric, is read elsewhere.
void require_known(const Json& config) {
  Arguments(config, {"type", "args", "subs", "interval", "frequency", "monitor", "strict", "opt"}).done("a schedule");
}

std::optional<fg::MomentumRange> momentum_range(Arguments& arguments, double base, double max) {
  const fg::MomentumRange range{per_group(arguments, "base_momentum", base),
                                per_group(arguments, "max_momentum", max)};
  return arguments.get("cycle_momentum", true) ? std::optional(range) : std::nullopt;
}

AnySchedule make_one_cycle(Arguments& a) {
  fg::OneCycleLR schedule{
      .max_lr = per_group(a.at("max_lr")),
      .total_steps = a.get("total_steps", std::int64_t{0}),
      .epochs = a.get("epochs", std::int64_t{0}),
      .steps_per_epoch = a.get("steps_per_epoch", std::int64_t{0}),
      .rising = a.get("pct_start", 0.3),
      .div_factor = a.get("div_factor", 25.0),
      .final_div_factor = a.get("final_div_factor", 1e4),
      .anneal = one_of<fg::Anneal>(a, "anneal_strategy", "cos", {{"cos", fg::Anneal::cosine}, {"linear", fg::Anneal::linear}}),
      .three_phase = a.get("three_phase", false),
      .momentum_range = momentum_range(a, 0.85, 0.95)};
  return AnySchedule(std::move(schedule));
}

AnySchedule make_cyclic(Arguments& a) {
  fg::CyclicLR schedule{.base_lr = per_group(a.at("base_lr")),
                              .max_lr = per_group(a.at("max_lr")),
                              .steps_up = a.get("step_size_up", std::int64_t{2000}),
                              .steps_down = {},
                              .mode = one_of<fg::CycleMode>(a, "mode", "triangular",
                                                            {{"triangular", fg::CycleMode::triangular},
                                                             {"triangular2", fg::CycleMode::triangular2},
                                                             {"exp_range", fg::CycleMode::exp_range}}),
                              .gamma = a.get("gamma", 1.0),
                              .momentum_range = momentum_range(a, 0.8, 0.9)};
  if (const Json* down = a.find("step_size_down")) schedule.steps_down = down->get<std::int64_t>();
  const auto scale_by =
      one_of<fg::ScaleBy>(a, "scale_mode", "cycle", {{"cycle", fg::ScaleBy::cycle}, {"iterations", fg::ScaleBy::step}});
  if (const Json* function = a.find("scale_fn")) {
    return AnySchedule(schedule.scaled_by(step_function(function->get<std::string>()), scale_by));
  }
  return AnySchedule(std::move(schedule));
}

const Json& functions(Arguments& arguments) {
  for (const char* name : {"lr_lambda", "lambda", "fn"}) {
    if (const Json* found = arguments.find(name)) return *found;
  }
  throw std::runtime_error("a schedule of functions without any");
}

template <template <class...> class Schedule>
AnySchedule make_of_functions(const Json& names) {
  if (!names.is_array()) return AnySchedule(Schedule<StepFunction>(step_function(names.get<std::string>())));
  if (names.size() == 2) {
    return AnySchedule(
        Schedule<StepFunction, StepFunction>(step_function(names[0]), step_function(names[1])));
  }
  throw std::runtime_error("as many functions are not known: " + names.dump());
}

AnySchedule make_sequential(const Json& subs, const Json& milestones) {
  const auto at = [&](std::size_t i) { return milestones.at(i).get<std::int64_t>(); };
  if (subs.size() == 2 && milestones.size() == 1) {
    const std::int64_t one[] = {at(0)};
    return AnySchedule(fg::SequentialLR(one, make_schedule(subs[0]), make_schedule(subs[1])));
  }
  if (subs.size() == 3 && milestones.size() == 2) {
    const std::int64_t two[] = {at(0), at(1)};
    return AnySchedule(
        fg::SequentialLR(two, make_schedule(subs[0]), make_schedule(subs[1]), make_schedule(subs[2])));
  }
  throw std::runtime_error("a sequence of as many schedules is not known");
}

AnySchedule make_chained(const Json& subs) {
  if (subs.size() == 2)
    return AnySchedule(fg::ChainedScheduler(make_schedule(subs[0]), make_schedule(subs[1])));
  if (subs.size() == 3) {
    return AnySchedule(
        fg::ChainedScheduler(make_schedule(subs[0]), make_schedule(subs[1]), make_schedule(subs[2])));
  }
  throw std::runtime_error("a chain of as many schedules is not known");
}

AnySchedule named_schedule(const std::string& type, Arguments& a, const Json& subs) {
  constexpr std::int64_t none = 0;
  if (type == "LambdaLR") return make_of_functions<fg::LambdaLR>(functions(a));
  if (type == "MultiplicativeLR") return make_of_functions<fg::MultiplicativeLR>(functions(a));
  if (type == "StepLR")
    return AnySchedule(fg::StepLR{.step_size = a.get("step_size", none), .gamma = a.get("gamma", 0.1)});
  if (type == "MultiStepLR") {
    auto milestones = a.at("milestones").get<std::vector<std::int64_t>>();
    std::sort(milestones.begin(), milestones.end());
    return AnySchedule(fg::MultiStepLR{.milestones = std::move(milestones), .gamma = a.get("gamma", 0.1)});
  }
  if (type == "ConstantLR") {
    return AnySchedule(fg::ConstantLR{.factor = a.get("factor", 1.0 / 3.0),
                                            .steps = a.get("total_iters", std::int64_t{5})});
  }
  if (type == "LinearLR") {
    return AnySchedule(fg::LinearLR{.start_factor = a.get("start_factor", 1.0 / 3.0),
                                          .end_factor = a.get("end_factor", 1.0),
                                          .steps = a.get("total_iters", std::int64_t{5})});
  }
  if (type == "ExponentialLR") return AnySchedule(fg::ExponentialLR{.gamma = a.get("gamma", 0.0)});
  if (type == "PolynomialLR") {
    return AnySchedule(
        fg::PolynomialLR{.steps = a.get("total_iters", std::int64_t{5}), .power = a.get("power", 1.0)});
  }
  if (type == "CosineAnnealingLR") {
    return AnySchedule(fg::CosineAnnealingLR{.t_max = a.get("T_max", none), .min_lr = a.get("eta_min", 0.0)});
  }
  if (type == "CosineAnnealingWarmRestarts") {
    return AnySchedule(fg::CosineAnnealingWarmRestarts{.period = a.get("T_0", none),
                                              .multiplier = a.get("T_mult", std::int64_t{1}),
                                              .min_lr = a.get("eta_min", 0.0)});
  }
  if (type == "CyclicLR") return make_cyclic(a);
  if (type == "OneCycleLR") return make_one_cycle(a);
  if (type == "SequentialLR") return make_sequential(subs, a.at("milestones"));
  if (type == "ChainedScheduler") return make_chained(subs);
  throw std::runtime_error("no schedule is known as " + type);
}

}  // namespace

AnySchedule make_schedule(const Json& config) {
  require_known(config);
  const auto type = config.at("type").get<std::string>();
  Arguments arguments(config.value("args", Json::object()));
  AnySchedule schedule = named_schedule(type, arguments, config.value("subs", Json::array()));
  arguments.done(type);
  return schedule;
}

AnyPlateau make_plateau(const Json& config, const std::string& metric) {
  require_known(config);
  Arguments a(config.value("args", Json::object()));
  AnyPlateau::Inner plateau;
  plateau.mode = one_of<fg::MetricMode>(a, "mode", "min", {{"min", fg::MetricMode::min}, {"max", fg::MetricMode::max}});
  plateau.factor = a.get("factor", 0.1);
  plateau.patience = a.get("patience", std::int64_t{10});
  plateau.threshold = a.get("threshold", 1e-4);
  plateau.threshold_mode = one_of<fg::ThresholdMode>(
      a, "threshold_mode", "rel", {{"rel", fg::ThresholdMode::relative}, {"abs", fg::ThresholdMode::absolute}});
  plateau.cooldown = a.get("cooldown", std::int64_t{0});
  plateau.min_lr = per_group(a, "min_lr", 0.0);
  plateau.eps = a.get("eps", 1e-8);
  plateau.strict = config.value("strict", true);
  a.done("ReduceLROnPlateau");
  return AnyPlateau(plateau, metric);
}

}  // namespace parity
