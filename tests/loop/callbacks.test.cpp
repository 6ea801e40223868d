// SPDX-License-Identifier: MIT
// The callbacks that need no LibTorch, in fits of toy models.
#include <fulgurite/callbacks/early_stopping.hpp>
#include <fulgurite/callbacks/learning_rate_monitor.hpp>
#include <fulgurite/callbacks/progress_bar.hpp>
#include <fulgurite/trainer.hpp>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "support/toy.hpp"

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using toy::counting;

namespace {

/// Validations give 3, 2, 2, 2, …
struct Validated : toy::Model {
  int validations = 0;
  void validation_step(double, auto& step) { step.log("val_loss", validations == 0 ? 3.0 : 2.0); }
  void on_validation_end(auto&) { ++validations; }
};

template <class... Policies>
fg::Progress progress_at_stop(Policies... policies) {
  Validated model;
  fg::Trainer trainer{model, fg::EarlyStopping<"val_loss">{.patience = 2}, policies...};
  trainer.fit(counting(3), counting(1));
  return trainer.progress();
}

using Rows = std::vector<std::pair<std::int64_t, std::map<std::string, double>>>;

struct Memory {
  using slot = fg::slots::Callback;
  std::shared_ptr<Rows> rows = std::make_shared<Rows>();

  void log_metrics(const fg::MetricsRow& row) {
    rows->emplace_back(row.step, std::map<std::string, double>());
    for (const auto& [name, value] : row.values) rows->back().second[std::string(name)] = value;
  }
};

struct Named : toy::MomentumSgd {
  static constexpr const char* name = "SGD";
};
struct Decaying : toy::Model {
  auto configure_optimizers() {
    return fg::optimizer(Named{{{&weight}}}).lr_scheduler(fg::ExponentialLR{.gamma = 0.5}, fg::EveryStep{});
  }
};
struct Pair : toy::Pair {
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &weight : &second, batch}; }
};

template <class Model, class... Policies>
Rows rows_of(Policies... policies) {
  Model model;
  const Memory memory;
  fg::Trainer trainer{model, memory, policies..., fg::MaxEpochs{1}};
  trainer.fit(counting(4));
  return *memory.rows;
}

struct Shown : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log("batch", batch, fg::prog_bar);
    step.log("hidden", batch);
    return toy::Loss{&weight, batch};
  }
};

/// What the bar has drawn in an epoch of two batches.
std::string drawn_by(fg::ProgressBar bar) {
  bar.out = std::tmpfile();
  Shown model;
  fg::Trainer(model, bar, fg::MaxEpochs{1}).fit(counting(2));
  std::rewind(bar.out);
  std::array<char, 1000> text{};
  const std::size_t length = std::fread(text.data(), 1, text.size(), bar.out);
  std::fclose(bar.out);
  return {text.data(), length};
}

}  // namespace

TEST_CASE("early stopping ends the fit at the end of an epoch, or where validations come in between after one of them") {
  CHECK(progress_at_stop().batches == 4 * 3);
  CHECK(progress_at_stop(fg::ValidateEvery{.interval = fg::Batches{1}}).batches == 4);
}

TEST_CASE("the learning rate monitor writes the rate of batches that are due, before their step, once per window") {
  const fg::LearningRateMonitor monitor;
  CHECK(rows_of<Decaying>(monitor, fg::LogEvery{2}) == Rows{{1, {{"lr-SGD", 0.5}}}, {3, {{"lr-SGD", 0.125}}}});
  CHECK(rows_of<Decaying>(monitor, fg::LogEvery{1}, fg::Accumulate<2>{}) ==
        Rows{{0, {{"lr-SGD", 1.0}}}, {1, {{"lr-SGD", 0.5}}}});
}

TEST_CASE("it may write at an epoch's start, with momenta, and names optimizers of one kind by number") {
  const fg::LearningRateMonitor monitor{.at = fg::MonitorAt::epoch_start, .what = fg::Monitored::rate_and_momentum};
  CHECK(rows_of<Decaying>(monitor, fg::LogEvery{1}) == Rows{{0, {{"lr-SGD", 1.0}, {"lr-SGD-momentum", 0.9}}}});
  CHECK(rows_of<Pair>(monitor, fg::LogEvery{1}) == Rows{{0, {{"lr-optimizer", 1.0}, {"lr-optimizer-1", 1.0}}}});
}

TEST_CASE("the progress bar draws over its line after each batch on a terminal, and one line per epoch elsewhere") {
  const std::string redrawn = drawn_by({.refresh = std::chrono::milliseconds{0}, .redraw = true});
  CHECK(redrawn.starts_with("\r\033[Kepoch 1  [##########..........] 1/2 batches"));
  CHECK_THAT(redrawn, ContainsSubstring("\r\033[Kepoch 1  [####################] 2/2 batches"));
  CHECK_THAT(redrawn, ContainsSubstring("lr 1  batch 1"));
  CHECK(redrawn.ends_with("lr 1  batch 2\n"));
  const std::string line = drawn_by({});
  CHECK(line.starts_with("epoch 1  2/2 batches  "));
  CHECK(line.ends_with("lr 1  batch 2\n"));
}
