// SPDX-License-Identifier: MIT
// Our schedules against torch.optim.lr_scheduler of Python, step by step: traces/schedules.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/alterations.hpp"
#include "support/any_optimizer.hpp"
#include "support/any_schedule.hpp"
#include "support/json.hpp"
#include "support/temporary_folder.hpp"

using namespace parity;

namespace {

// Rates fall over many orders of magnitude and are products, so that only their relative error means
// something. A linear one may end in a difference of equal numbers: the rates' own size, about 0.1, bounds
// that.
bool agree(double ours, double theirs) {
  return std::abs(ours - theirs) <= 1e-12 * std::abs(theirs) || std::abs(ours - theirs) <= 1e-17;
}

/// A schedule under way: one step on, with the value of the metric.
using Advance = std::function<void(double metric)>;

template <class Schedule>
Advance attach(Schedule schedule, Rates& rates, std::vector<double>& initial_lrs) {
  auto running = std::make_shared<fg::RunningSchedule<Schedule>>(std::move(schedule));
  running->attach(rates, initial_lrs);
  return [running, &rates]([[maybe_unused]] double metric) {
    if constexpr (fg::MetricScheduler<Schedule>) {
      running->advance(rates, metric);
    } else {
      running->advance(rates);
    }
  };
}

void require_row(const Json& trace, std::size_t row, const Rates& rates) {
  for (const char* what : {"lr", "momentum"}) {
    if (!trace.contains(what)) continue;
    const auto theirs = numbers(trace.at(what).at(row));
    if (theirs.size() != static_cast<std::size_t>(rates.group_count()))
      differ("row ", row, ": ", what, " of ", theirs.size(), " groups");
    for (std::int64_t group = 0; group < rates.group_count(); ++group) {
      const double ours = *what == 'l' ? rates.lr(group) : rates.momentum(group);
      const double expected = theirs[static_cast<std::size_t>(group)];
      if (!agree(ours, expected)) differ(what, ", row ", row, ", group ", group, ": ", ours, ", expected ", expected);
    }
  }
}

/// Throws unless our schedules do what a trace says.
void require_trace(const std::string& name, const Json& file) {
  Arguments(file, {"name", "optimizer", "groups", "schedules", "steps", "every", "written", "metric", "trace"}).done(name);
  Arguments(file.at("trace"), {"lr", "momentum"}).done(name);
  if (file.at("name") != name) differ("the file has the name ", name, ", and says ", file.at("name"));
  std::vector<TraceGroup> groups;
  for (const Json& options : file.at("groups")) {
    groups.push_back({{torch::zeros({1}, torch::kDouble).requires_grad_()}, options});
  }
  const auto optimizer = make_optimizer(file.at("optimizer"), groups, {});
  Rates& rates = *optimizer;

  std::vector<double> initial_lrs;
  std::vector<Advance> schedules;
  bool follows_metric = false, writes_momentum = false;
  for (const Json& config : file.at("schedules")) {
    follows_metric = follows_metric || is_plateau(config);
    const auto type = config.at("type").get<std::string>();
    const Json args = config.value("args", Json::object());
    writes_momentum = writes_momentum || ((type == "OneCycleLR" || type == "CyclicLR") && args.value("cycle_momentum", true));
    schedules.push_back(is_plateau(config) ? attach(make_plateau(config, "metric"), rates, initial_lrs)
                                           : attach(make_schedule(config), rates, initial_lrs));
  }

  const Json& trace = file.at("trace");
  const auto steps = file.at("steps").get<std::size_t>();
  if (schedules.empty() || trace.at("lr").size() != steps + 1) differ("the trace has not ", steps, " steps");
  if (trace.contains("momentum") != writes_momentum)
    differ("momentum is in the traces of schedules that write it, and there only");
  if (writes_momentum && trace.at("momentum").size() != steps + 1) differ("the trace has not ", steps, " steps of momentum");
  if (file.contains("metric") != follows_metric || (follows_metric && file.at("metric").size() != steps)) {
    differ("a metric is what plateau schedules see in each step, and no others");
  }
  if (file.contains("every") && file.at("every").size() != schedules.size()) differ("every has not one number per schedule");
  require_row(trace, 0, rates);
  const Json written = file.value("written", Json::object());
  std::size_t writes = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    if (const auto found = written.find(std::to_string(step)); found != written.end()) {
      if (found->size() != file.at("groups").size()) differ("written are ", found->size(), " rates");
      for (std::size_t group = 0; group < found->size(); ++group) {
        rates.set_lr(static_cast<std::int64_t>(group), number(found->at(group)));
      }
      ++writes;
    }
    for (std::size_t i = 0; i < schedules.size(); ++i) {
      if (file.contains("every") && (step + 1) % file.at("every").at(i).get<std::size_t>() != 0) continue;
      schedules[i](follows_metric ? number(file.at("metric").at(step)) : 0.0);
    }
    require_row(trace, step + 1, rates);
  }
  if (writes != written.size()) differ("rates are written in steps that are not there");
}

}  // namespace

TEST_CASE("a folder without traces fails") {
  const support::TemporaryFolder empty;
  CHECK_THROWS_AS(json_files(empty.path), std::runtime_error);
}

TEST_CASE("schedules follow the traces of torch.optim.lr_scheduler") {
  std::map<std::string, int> cases;
  int all = 0;
  for (const auto& path : json_files(folder() / "traces/schedules")) {
    const Json& file = read_json(path);
    DYNAMIC_SECTION(path.stem().string()) {
      CHECK_NOTHROW(require_trace(path.stem().string(), file));
    }
    ++all;
    for (const Json& config : file.at("schedules")) ++cases[config.at("type")];
  }
  static bool printed = false;
  if (!std::exchange(printed, true)) {
    std::cout << "parity: " << all << " schedule traces:";
    for (const auto& [name, count] : cases) std::cout << ' ' << name << ' ' << count;
    std::cout << '\n';
  }
}

namespace {

/// Tries the alterations of the traces; of a number that `which` says yes to.
void alter(Noticed& noticed, std::size_t few, const std::function<bool(std::size_t)>& which) {
  const auto files = json_files(folder() / "traces/schedules");
  Vocabulary words;
  for (const auto& path : files) {
    Json file = read_json(path);
    file.erase("name");
    add_words(words, file);
  }
  std::size_t number = 0;
  for (const auto& path : files) {
    const auto name = path.stem().string();
    Alterations alterations(
        words,
        [&](const std::string& where, const Json& altered) {
          if (which(number++)) noticed.look("schedules/" + name + where, [&] { require_trace(name, altered); });
        },
        few);
    alterations.fraction = 1e-6;
    alterations.of(read_json(path));
  }
}

}  // namespace

TEST_CASE("a trace of a schedule with an altered field fails") {
  Noticed noticed;
  alter(noticed, 3, [](std::size_t number) { return number % 4 == 0; });
  INFO(noticed.report());
  CHECK(noticed.noticed > 300);
  CHECK(noticed.overlooked.empty());
}

// Hidden: all of them.
TEST_CASE("every trace of a schedule with any altered field fails", "[.alter]") {
  Noticed noticed;
  alter(noticed, 0, [](std::size_t) { return true; });
  WARN(noticed.report());
  CHECK(noticed.overlooked.empty());
  for (const auto& pattern : noticed.may_change.idle("schedules/"))
    FAIL_CHECK("a line of unnoticed.txt that no alteration fits: " << pattern);
}
