// SPDX-License-Identifier: MIT
// Law: callbacks go on from a checkpoint as if the training had never stopped, after any batch.
#include <fulgurite/callbacks.hpp>
#include <fulgurite/checkpoint.hpp>
#include <fulgurite/data/tensor_batches.hpp>
#include <fulgurite/logging/logger.hpp>
#include <fulgurite/optim/sgd.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/schedulers/exponential_lr.hpp>
#include <fulgurite/trainer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/families.hpp"
#include "support/files.hpp"
#include "support/resume.hpp"
#include "support/system_calls.hpp"

namespace fg = fulgurite;
namespace fs = std::filesystem;

namespace {

/// What a run shows to the outside.
struct Record {
  fs::path folder;
  bool saves = false;  // a checkpoint after each batch
  std::vector<std::string> rows{};
  struct Moment {
    std::size_t rows;                          // that had been logged
    std::map<std::string, std::string> files;  // of ModelCheckpoint
  };
  std::vector<Moment> moments{};

  fs::path path(std::size_t batches) const { return folder / ("after_" + std::to_string(batches)); }
  fs::path kept() const { return folder / "kept"; }

  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> all;
    for (const auto& name : support::names_in(kept())) all[name] = support::text_of(kept() / name);
    return all;
  }
  void put_back(const std::map<std::string, std::string>& files) const {
    for (const auto& name : support::names_in(kept())) fs::remove(kept() / name);
    for (const auto& [name, bytes] : files) support::write_file(kept() / name, bytes);
  }
};

/// The last of all callbacks.
struct Recorder {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;
  Record* record;

  void log_metrics(const fg::MetricsRow& row) {
    std::string text = std::to_string(row.step) + "/" + std::to_string(row.epoch);
    for (const auto& [name, value] : row.values) text += " " + std::string(name) + "=" + fg::detail::text_of(value);
    record->rows.push_back(text);
  }
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (!record->saves) return;
    fg::save_checkpoint(step, record->path(record->moments.size() + 1));
    step.when_at_rest([this](auto&) { record->moments.push_back({record->rows.size(), record->files()}); });
  }
};

struct Model : resume::Net {
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05, .momentum = 0.8}))
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.9}, fg::EveryStep{});
  }
};

const std::set<std::string> members{"early_stopping",   "ema_weight_averaging", "learning_rate_monitor",
                                    "model_checkpoint", "progress_bar",        "stochastic_weight_averaging"};

using OnLoss = fg::EarlyStopping<"val_loss">;

/// With validations at the ends of epochs, or after every second batch, and so several at one optimizer step.
auto trainer_of(Model& model, Record& record, std::FILE* screen, bool often) {
  return fg::Trainer{model,
                     fg::ProgressBar{.out = screen},
                     fg::EMAWeightAveraging{.decay = 0.7},
                     fg::StochasticWeightAveraging{.lr = 0.01, .start = fg::EpochNumber{2}, .annealing_epochs = 2},
                     fg::LearningRateMonitor{},
                     OnLoss{.patience = often ? 9 : 2, .min_delta = 9.0},
                     fg::ModelCheckpoint<"val_loss">{.folder = record.kept(), .save_top_k = 2, .save_last = true},
                     fg::ModelCheckpoint<>{.folder = record.kept(), .every = fg::EveryStep{3}},
                     Recorder{.record = &record},
                     often ? fg::ValidateEvery{.interval = fg::Batches{2}} : fg::ValidateEvery{},
                     fg::Accumulate<3>{},
                     fg::LogEvery{1},
                     fg::MaxEpochs{5}};
}

/// What its callbacks would keep.
c10::IValue states_of(auto& trainer, const fs::path& path) {
  fg::save_checkpoint(trainer, path);
  return *fg::detail::find(fg::detail::read_pickle(path), "callbacks");
}

}  // namespace

TEST_CASE("the law is about all callbacks") {
  CHECK(support::headers_in("callbacks") == members);
}

TEST_CASE("saved after any batch, all callbacks go on as if the training had never stopped") {
  const bool often = GENERATE(false, true);
  const support::WithoutSync fast;
  const support::TemporaryFolder folder;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> screen(std::tmpfile(), &std::fclose);
  const resume::Data data;
  fs::create_directories(folder.path / "kept");

  Record record{.folder = folder.path, .saves = true};
  torch::manual_seed(3);
  Model model;
  auto trainer = trainer_of(model, record, screen.get(), often);
  trainer.fit(data.train(), data.validation());
  REQUIRE(trainer.callback<OnLoss>().reason == fg::StopReason::patience);
  REQUIRE(trainer.progress().batches > 16);
  const resume::Picture<Model> uninterrupted(trainer);
  const auto states = states_of(trainer, folder.path / "end");
  const auto names = support::names_in(record.kept());
  REQUIRE(std::ssize(record.moments) == trainer.progress().batches);

  for (std::size_t batches = 1; batches <= record.moments.size(); ++batches) {
    INFO("saved after batch " << batches);
    const auto& moment = record.moments[batches - 1];
    record.put_back(moment.files);
    Record resumed{.folder = folder.path};
    torch::manual_seed(99);
    Model other;
    auto goes_on = trainer_of(other, resumed, screen.get(), often);
    fg::load_checkpoint(goes_on, record.path(batches));
    goes_on.fit(data.train(), data.validation());
    resume::require_same(uninterrupted, resume::Picture<Model>(goes_on));
    CHECK(resume::same(states_of(goes_on, folder.path / "end"), states));
    CHECK(resumed.rows ==
          std::vector<std::string>(record.rows.begin() + static_cast<std::ptrdiff_t>(moment.rows), record.rows.end()));
    CHECK(support::names_in(record.kept()) == names);
  }
}
