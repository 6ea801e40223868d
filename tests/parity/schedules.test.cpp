// SPDX-License-Identifier: MIT
// Our schedules against torch.optim.lr_scheduler of Python, step by step: traces/schedules.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/any_optimizer.hpp"
#include "support/any_schedule.hpp"
#include "support/json.hpp"

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
  for (std::int64_t group = 0; group < rates.group_count(); ++group) {
    const auto at = static_cast<std::size_t>(group);
    const double lr = number(trace.at("lr").at(row).at(at));
    INFO("row " << row << ", group " << group << ": " << rates.lr(group) << ", expected " << lr);
    REQUIRE(agree(rates.lr(group), lr));
    if (!trace.contains("momentum")) continue;
    const double momentum = number(trace.at("momentum").at(row).at(at));
    INFO("momentum " << rates.momentum(group) << ", expected " << momentum);
    REQUIRE(agree(rates.momentum(group), momentum));
  }
}

void run(const Json& file) {
  Arguments(file,
            {"name", "optimizer", "groups", "schedules", "steps", "every", "written", "metric", "trace"})
      .done(file.at("name"));
  std::vector<TraceGroup> groups;
  for (const Json& options : file.at("groups")) {
    groups.push_back({{torch::zeros({1}, torch::kDouble).requires_grad_()}, options});
  }
  const auto optimizer = make_optimizer(file.at("optimizer"), groups, {});
  Rates& rates = *optimizer;

  std::vector<double> initial_lrs;
  std::vector<Advance> schedules;
  for (const Json& config : file.at("schedules")) {
    schedules.push_back(is_plateau(config) ? attach(make_plateau(config, "metric"), rates, initial_lrs)
                                           : attach(make_schedule(config), rates, initial_lrs));
  }

  const Json& trace = file.at("trace");
  const auto steps = file.at("steps").get<std::size_t>();
  REQUIRE(trace.at("lr").size() == steps + 1);
  require_row(trace, 0, rates);
  const Json written = file.value("written", Json::object());
  for (std::size_t step = 0; step < steps; ++step) {
    if (const auto found = written.find(std::to_string(step)); found != written.end()) {
      for (std::size_t group = 0; group < found->size(); ++group) {
        rates.set_lr(static_cast<std::int64_t>(group), number(found->at(group)));
      }
    }
    for (std::size_t i = 0; i < schedules.size(); ++i) {
      if (file.contains("every") && (step + 1) % file.at("every").at(i).get<std::size_t>() != 0) continue;
      schedules[i](file.contains("metric") ? number(file.at("metric").at(step)) : 0.0);
    }
    require_row(trace, step + 1, rates);
  }
}

}  // namespace

TEST_CASE("schedules follow the traces of torch.optim.lr_scheduler") {
  std::map<std::string, int> cases;
  int all = 0;
  for (const auto& path : json_files(folder() / "traces/schedules")) {
    const Json& file = read_json(path);
    DYNAMIC_SECTION(path.stem().string()) {
      run(file);
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
