// SPDX-License-Identifier: MIT
// Law: to save, load and go on is never to have stopped, bit for bit, for every optimizer and every schedule.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "parity/support/any_optimizer.hpp"
#include "parity/support/any_schedule.hpp"
#include "parity/support/json.hpp"

using namespace parity;

namespace {

struct Run {
  std::vector<torch::Tensor> parameters;
  std::unique_ptr<ErasedOptimizer> optimizer;
  torch::Tensor x, y;

  Run(const std::string& name, const Json& options, const std::vector<torch::Tensor>* from = nullptr) {
    torch::manual_seed(1);
    x = torch::randn({8, 3}, torch::kDouble);
    y = torch::randn({8, 4}, torch::kDouble);
    auto w = torch::randn({3, 4}, torch::kDouble);
    auto v = torch::randn({4, 4}, torch::kDouble);
    parameters = {w, v};
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      if (from) parameters[i] = (*from)[i].detach().clone();
      parameters[i].requires_grad_();
    }
    const std::vector<TraceGroup> groups{{parameters, Json::object()}};
    optimizer = make_optimizer(name, groups, options);
  }

  /// `step` decides which parameter has a gradient.
  void advance(int step) {
    optimizer->step([&]() -> std::optional<at::Tensor> {
      optimizer->zero_grad();
      auto loss = torch::log(torch::cosh(torch::tanh(x.mm(parameters[0])).mm(parameters[1]) - y)).mean();
      loss.backward();
      if (step % 4 == 2) parameters[1].mutable_grad().reset();
      return loss;
    });
  }
};

/// A schedule under way, whichever kind.
struct Driven {
  std::function<void(double metric)> advance;
  std::function<fg::ScheduleState()> state;
  std::function<void(const fg::ScheduleState&)> load;
};

template <class Schedule>
Driven attach(Schedule schedule, Rates& rates, std::vector<double>& initial_lrs) {
  auto running = std::make_shared<fg::RunningSchedule<Schedule>>(std::move(schedule));
  running->attach(rates, initial_lrs);
  return {.advance =
              [running, &rates]([[maybe_unused]] double metric) {
                if constexpr (fg::MetricScheduler<Schedule>) {
                  running->advance(rates, metric);
                } else {
                  running->advance(rates);
                }
              },
          .state = [running] { return running->state(); },
          .load = [running](const fg::ScheduleState& saved) { running->load_state(saved); }};
}

struct ScheduledRun {
  const Json& file;
  std::unique_ptr<ErasedOptimizer> optimizer;
  std::vector<Driven> schedules;

  explicit ScheduledRun(const Json& trace) : file(trace) {
    std::vector<TraceGroup> groups;
    for (const Json& options : file.at("groups")) {
      groups.push_back({{torch::zeros({1}, torch::kDouble).requires_grad_()}, options});
    }
    optimizer = make_optimizer(file.at("optimizer"), groups, {});
    std::vector<double> initial_lrs;
    for (const Json& config : file.at("schedules")) {
      schedules.push_back(is_plateau(config) ? attach(make_plateau(config, "metric"), *optimizer, initial_lrs)
                                             : attach(make_schedule(config), *optimizer, initial_lrs));
    }
  }

  void advance(std::size_t step) {
    for (std::size_t i = 0; i < schedules.size(); ++i) {
      if (file.contains("every") && (step + 1) % file.at("every").at(i).get<std::size_t>() != 0) continue;
      schedules[i].advance(file.contains("metric") ? number(file.at("metric").at(step)) : 0.0);
    }
  }
};

}  // namespace

TEST_CASE("an optimizer that goes on from its saved state never stopped") {
  const std::vector<std::pair<std::string, Json>> cases{
      {"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"nesterov", true}}},
      {"Adam", {{"lr", 0.05}, {"amsgrad", true}}},
      {"AdamW", {{"lr", 0.05}}},
      {"NAdam", {{"lr", 0.05}}},
      {"RAdam", {{"lr", 0.05}}},
      {"Adamax", {{"lr", 0.05}}},
      {"Adagrad", {{"lr", 0.1}, {"lr_decay", 0.01}}},
      {"Adadelta", {{"lr", 1.0}}},
      {"RMSprop", {{"lr", 0.01}, {"momentum", 0.8}, {"centered", true}}},
      {"Rprop", {{"lr", 0.01}}},
      {"ASGD", {{"lr", 0.1}, {"t0", 3.0}}},
      {"Adafactor", {{"lr", 0.05}}},
      {"Muon", {{"lr", 0.02}}},
      {"LBFGS", {{"lr", 0.3}, {"max_iter", 3}, {"history_size", 3}}},
      {"LBFGS", {{"lr", 0.8}, {"max_iter", 3}, {"line_search_fn", "strong_wolfe"}}},
  };
  for (const auto& [name, options] : cases) {
    DYNAMIC_SECTION(name << ' ' << options.dump()) {
      Run straight(name, options);
      for (int step = 0; step < 7; ++step) straight.advance(step);
      const std::vector<char> saved = torch::pickle_save(straight.optimizer->state_dict());
      Run resumed(name, Json::object(), &straight.parameters);
      resumed.optimizer->load_state_dict(torch::pickle_load(saved));
      for (int step = 7; step < 15; ++step) {
        straight.advance(step);
        resumed.advance(step);
      }
      for (std::size_t i = 0; i < straight.parameters.size(); ++i) {
        CHECK(torch::equal(straight.parameters[i], resumed.parameters[i]));
      }
    }
  }
}

TEST_CASE("a schedule that goes on from its saved state never stopped") {
  for (const auto& path : json_files(folder() / "traces/schedules")) {
    const Json& file = read_json(path);
    DYNAMIC_SECTION(path.stem().string()) {
      const auto steps = file.at("steps").get<std::size_t>();
      for (const std::size_t stop : {std::size_t{1}, std::size_t{9}, std::size_t{26}}) {
        CAPTURE(stop);
        ScheduledRun straight(file);
        for (std::size_t step = 0; step < stop; ++step) straight.advance(step);
        ScheduledRun resumed(file);
        for (std::size_t i = 0; i < straight.schedules.size(); ++i) {
          resumed.schedules[i].load(straight.schedules[i].state());
        }
        for (std::int64_t group = 0; group < straight.optimizer->group_count();
             ++group) {  // the optimizer's own state
          resumed.optimizer->set_lr(group, straight.optimizer->lr(group));
          resumed.optimizer->set_momentum(group, straight.optimizer->momentum(group));
        }
        for (std::size_t step = stop; step < steps; ++step) {
          straight.advance(step);
          resumed.advance(step);
          for (std::int64_t group = 0; group < straight.optimizer->group_count(); ++group) {
            REQUIRE(resumed.optimizer->lr(group) == straight.optimizer->lr(group));
            REQUIRE(resumed.optimizer->momentum(group) == straight.optimizer->momentum(group));
          }
        }
      }
    }
  }
}
