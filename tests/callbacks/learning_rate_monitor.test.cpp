// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/learning_rate_monitor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;

namespace {

using Rows = std::vector<std::pair<std::int64_t, std::map<std::string, double>>>;

struct Memory {
  using slot = fg::slots::Callback;
  std::shared_ptr<Rows> rows = std::make_shared<Rows>();

  void log_metrics(const fg::MetricsRow& row) {
    rows->emplace_back(row.step, std::map<std::string, double>());
    for (const auto& [name, value] : row.values) rows->back().second[std::string(name)] = value;
  }
};

struct Line : torch::nn::Module {
  torch::nn::Linear line = register_module("line", torch::nn::Linear(1, 1));
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return line->forward(batch.data).sum();
  }
};
struct OneGroup : Line {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 1.0, .momentum = 0.5}))
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.5}, fg::EveryStep{});
  }
};
struct TwoGroups : Line {
  auto configure_optimizers() {
    return fg::AdamW({{{line->weight}, {.lr = 0.5}}, {{line->bias}, {.lr = 0.25}}});
  }
};
struct Foreign : Line {
  auto configure_optimizers() { return fg::optimizer(torch::optim::RMSprop(parameters(), 0.5)); }
};

template <class Model, class... Policies>
Rows rows_of(int batches, Policies... policies) {
  Model model;
  const Memory memory;
  fg::Trainer trainer{model, memory, policies...};
  trainer.fit(std::vector<fg::Example>(static_cast<std::size_t>(batches),
                                       fg::Example(torch::ones({2, 1}), torch::ones({2, 1}))));
  return *memory.rows;
}

}  // namespace

TEST_CASE("the rate of batches that are due, before their step") {
  CHECK(rows_of<OneGroup>(4, fg::LearningRateMonitor{}, fg::LogEvery{2}, fg::MaxEpochs{1}) ==
        Rows{{1, {{"lr-SGD", 0.5}}}, {3, {{"lr-SGD", 0.125}}}});
}

TEST_CASE("once in a window of batches") {
  CHECK(rows_of<OneGroup>(4, fg::Accumulate<2>{}, fg::LearningRateMonitor{}, fg::LogEvery{1},
                          fg::MaxEpochs{1}) == Rows{{0, {{"lr-SGD", 1.0}}}, {1, {{"lr-SGD", 0.5}}}});
}

TEST_CASE("at epoch starts, with momentum") {
  const fg::LearningRateMonitor monitor{.at = fg::MonitorAt::epoch_start,
                                        .what = fg::Monitored::rate_and_momentum};
  CHECK(rows_of<OneGroup>(2, monitor, fg::LogEvery{1}, fg::MaxEpochs{2}) ==
        Rows{{0, {{"lr-SGD", 1.0}, {"lr-SGD-momentum", 0.5}}},
             {2, {{"lr-SGD", 0.25}, {"lr-SGD-momentum", 0.5}}}});
}

TEST_CASE("groups have names of their own, and LibTorch's optimizers their class's") {
  CHECK(rows_of<TwoGroups>(1, fg::LearningRateMonitor{}, fg::LogEvery{1}, fg::MaxEpochs{1}) ==
        Rows{{0, {{"lr-AdamW/pg1", 0.5}, {"lr-AdamW/pg2", 0.25}}}});
  CHECK(rows_of<Foreign>(1, fg::LearningRateMonitor{}, fg::LogEvery{1}, fg::MaxEpochs{1}) ==
        Rows{{0, {{"lr-RMSprop", 0.5}}}});
}

namespace {
/// Reads a metric where a user's callback would, and stops on it.
struct StopsBelow {
  using slot = fg::slots::Callback;
  double rate = 0.0;
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (step.metrics().value("lr-SGD").value_or(1.0) < rate) step.stop();
  }
};
struct Both : OneGroup {
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    step.log("lr-SGD", 1.0);
    return OneGroup::training_step(batch, step);
  }
};
const std::vector<fg::Example> eight(8, fg::Example(torch::ones({2, 1}), torch::ones({2, 1})));
}  // namespace

TEST_CASE("rates are metrics: for the program, callbacks and monitors, and in no second row") {
  OneGroup model;
  const Memory memory;
  fg::Trainer trainer{model, StopsBelow{.rate = 0.1}, fg::LearningRateMonitor{.what = fg::Monitored::rate_and_momentum},
                      memory, fg::LogEvery{1}, fg::MaxEpochs{1}};
  trainer.fit(eight);
  CHECK(trainer.metric("lr-SGD") == 0.0625);
  CHECK(trainer.metrics().values() == std::map<std::string, double>{{"lr-SGD", 0.0625}, {"lr-SGD-momentum", 0.5}});
  CHECK(memory.rows->size() == 5);

  fg::Trainer early{model, fg::EarlyStopping<"lr-SGD">{.stopping_threshold = 0.2},
                    fg::LearningRateMonitor{.at = fg::MonitorAt::epoch_start}, memory, fg::MaxEpochs{9}};
  early.fit(std::vector<fg::Example>(eight.begin(), eight.begin() + 1));
  CHECK(early.progress().epoch == 4);  // 1, 0.5, 0.25, 0.125
}

TEST_CASE("a rate that the model logs under the same name is refused") {
  Both model;
  fg::Trainer trainer{model, fg::LearningRateMonitor{}, Memory{}, fg::LogEvery{1}, fg::MaxEpochs{1}};
  CHECK_THROWS_AS(trainer.fit(eight), std::invalid_argument);
}
