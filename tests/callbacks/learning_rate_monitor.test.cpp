// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/learning_rate_monitor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/fulgurite.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
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
        .with(fg::ExponentialDecay{.gamma = 0.5}, fg::EveryStep{});
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
