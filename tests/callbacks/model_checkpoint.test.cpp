// SPDX-License-Identifier: MIT
#include <fulgurite/callbacks/model_checkpoint.hpp>

#include <fulgurite/data/example.hpp>
#include <fulgurite/optim/sgd.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/trainer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fg = fulgurite;
using Catch::Matchers::ContainsSubstring;
using Names = std::set<std::string>;

/// Logs the scores that it is given, one an epoch.
struct Scored : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(2, 1));
  std::vector<double> scores;
  torch::Tensor training_step(const torch::Tensor& batch, auto&) { return layer->forward(batch).mean(); }
  void on_train_epoch_end(auto& step) {
    if (static_cast<std::size_t>(step.epoch()) < scores.size()) {
      step.log("score", scores[static_cast<std::size_t>(step.epoch())]);
    }
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.1}); }
};

const std::vector<torch::Tensor> two_batches(2, torch::ones({3, 2}));

template <class Callback>
Names names_after(Callback callback, std::vector<double> scores, const std::filesystem::path& folder) {
  Scored model;
  model.scores = std::move(scores);
  callback.folder = folder;
  fg::Trainer trainer{model, callback, fg::MaxEpochs{static_cast<std::int64_t>(model.scores.size())}};
  trainer.fit(two_batches);
  return support::names_in(folder);
}

using OnScore = fg::ModelCheckpoint<"score">;

TEST_CASE("the best are kept, and an equal score is not better") {
  const support::TemporaryFolder folder;
  CHECK(names_after(OnScore{.save_top_k = 2}, {3.0, 1.0, 2.0, 2.0, 5.0}, folder.path) ==
        Names{"epoch=1-step=4.ckpt", "epoch=2-step=6.ckpt"});
  const support::TemporaryFolder other;
  CHECK(names_after(OnScore{.mode = fg::MetricMode::max}, {3.0, 1.0, std::nan(""), 3.0}, other.path) ==
        Names{"epoch=0-step=2.ckpt"});
}

TEST_CASE("without a metric the newest is kept, or all, or only the last one's copy") {
  const support::TemporaryFolder newest, all, none;
  CHECK(names_after(fg::ModelCheckpoint<>{}, {1.0, 2.0, 3.0}, newest.path) == Names{"epoch=2-step=6.ckpt"});
  CHECK(names_after(fg::ModelCheckpoint<>{.save_top_k = -1, .every = fg::EveryEpoch{2}}, {1.0, 2.0, 3.0, 4.0}, all.path) ==
        Names{"epoch=1-step=4.ckpt", "epoch=3-step=8.ckpt"});
  CHECK(names_after(fg::ModelCheckpoint<>{.save_top_k = 0, .save_last = true}, {1.0, 2.0}, none.path) == Names{"last.ckpt"});
}

TEST_CASE("a file that is there already is left alone") {
  const support::TemporaryFolder folder;
  std::ofstream(folder.path / "epoch=0-step=2.ckpt") << "another run's";
  CHECK(names_after(fg::ModelCheckpoint<>{}, {1.0}, folder.path) == Names{"epoch=0-step=2.ckpt", "epoch=0-step=2-v1.ckpt"});
  CHECK(std::filesystem::file_size(folder.path / "epoch=0-step=2.ckpt") == 13);
}

TEST_CASE("it saves after optimizer steps") {
  const support::TemporaryFolder folder;
  Scored model;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_top_k = -1, .every = fg::EveryStep{2}},
                      fg::Accumulate<2>{}, fg::MaxEpochs{4}};
  trainer.fit(two_batches);
  CHECK(support::names_in(folder.path) == Names{"epoch=1-step=2.ckpt", "epoch=3-step=4.ckpt"});
}

struct Validated : Scored {
  void validation_step(const torch::Tensor&, auto&) {}
};

TEST_CASE("it never saves twice at the same optimizer step") {
  Validated model;
  const support::TemporaryFolder folder;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_top_k = -1}, fg::Accumulate<2>{},
                      fg::ValidateEvery{.interval = fg::Batches{1}}, fg::MaxEpochs{2}};
  trainer.fit(two_batches, two_batches);  // validated at 0, 1, 1 and 2 steps
  CHECK(support::names_in(folder.path) == Names{"epoch=0-step=0.ckpt", "epoch=0-step=1.ckpt", "epoch=1-step=2.ckpt"});
}

TEST_CASE("after a fit in which it saved at validations, a validation alone saves nothing, and a loop of the program's own by epochs") {
  Validated model;
  const support::TemporaryFolder folder;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_top_k = -1}, fg::MaxEpochs{1},
                      fg::ValidateEvery{.interval = fg::Batches{2}}};
  const std::vector<torch::Tensor> three_batches(3, torch::ones({3, 2}));
  trainer.fit(three_batches, two_batches);
  CHECK(support::names_in(folder.path) == Names{"epoch=0-step=2.ckpt"});
  trainer.validate(two_batches, "test_");
  CHECK(support::names_in(folder.path) == Names{"epoch=0-step=2.ckpt"});
  auto loop = trainer.loop();
  loop.step(two_batches.front(), fg::last);
  CHECK(support::names_in(folder.path) == Names{"epoch=0-step=2.ckpt", "epoch=1-step=4.ckpt"});
}

/// Throws once, in the hook of a batch that comes after the callbacks', or when a fit starts.
struct FailingOnce : Validated {
  std::int64_t fails_at = 1;
  bool fails_at_start = false;

  void on_fit_start(auto&) {
    if (std::exchange(fails_at_start, false)) throw std::runtime_error("once");
  }
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (step.global_step() == std::exchange(fails_at, step.global_step() == fails_at ? 0 : fails_at)) {
      throw std::runtime_error("once");
    }
  }
};
/// The last of all.
struct FailingLast {
  using slot = fg::slots::Callback;
  static constexpr bool follows_metrics = true;
  std::int64_t fails_at;

  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (step.global_step() == fails_at) throw std::runtime_error("each time");
  }
};

TEST_CASE("after a fit that threw it decides anew when it saves: in a validation and in a loop of the program's own") {
  const support::TemporaryFolder folder;
  FailingOnce model;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_top_k = -1}, fg::MaxEpochs{1},
                      fg::ValidateEvery{.interval = fg::Batches{2}}};
  CHECK_THROWS_WITH(trainer.fit(two_batches, two_batches), "once");
  trainer.validate(two_batches, "test_");
  CHECK(support::names_in(folder.path) == Names{});
  trainer.loop().step(two_batches.front(), fg::last);
  CHECK(support::names_in(folder.path) == Names{"epoch=0-step=2.ckpt"});
}

TEST_CASE("what it was to save when the fit threw is not saved by a fit that goes on, from a file either") {
  const support::TemporaryFolder folder;
  const auto trainer_of = [&](Scored& model, std::int64_t fails_at) {
    return fg::Trainer{model,
                       fg::ModelCheckpoint<>{.folder = folder.path / "kept", .save_top_k = -1, .every = fg::EveryStep{1}},
                       FailingLast{fails_at}, fg::MaxSteps{2}};
  };
  Scored model, other;
  auto trainer = trainer_of(model, 1);
  CHECK_THROWS_WITH(trainer.fit(two_batches), "each time");
  fg::save_checkpoint(trainer, folder.path / "after.ckpt");
  auto resumed = trainer_of(other, 0);
  fg::load_checkpoint(resumed, folder.path / "after.ckpt");
  resumed.fit(two_batches);
  CHECK(support::names_in(folder.path / "kept") == Names{"epoch=0-step=2.ckpt"});
  CHECK(resumed.template callback<fg::ModelCheckpoint<>>().saved.size() == 1);
}

TEST_CASE("what a loaded file has still to be saved is saved by the first fit that gets so far") {
  const support::TemporaryFolder folder, other_folder;
  const auto trainer_of = [&](FailingOnce& model, std::int64_t epochs) {
    model.scores = {1.0, 2.0};
    model.fails_at = 0;
    return fg::Trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_last = true},
                       OnScore{.folder = other_folder.path}, fg::MaxEpochs{epochs}};
  };
  FailingOnce model, other;
  auto trainer = trainer_of(model, 1);
  trainer.fit(two_batches);
  std::filesystem::remove_all(other_folder.path);  // as a kill before it
  auto resumed = trainer_of(other, 2);
  fg::load_checkpoint(resumed, folder.path / "last.ckpt");
  other.fails_at_start = true;
  CHECK_THROWS_WITH(resumed.fit(two_batches), "once");
  CHECK(support::names_in(other_folder.path) == Names{});
  resumed.fit(two_batches);
  CHECK(support::names_in(other_folder.path) == Names{"epoch=0-step=2.ckpt"});
}

TEST_CASE("a metric that was never logged is an error, unless it isn't strict") {
  const support::TemporaryFolder folder;
  Scored model;
  fg::Trainer trainer{model, OnScore{.folder = folder.path}, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(two_batches), ContainsSubstring("ModelCheckpoint follows the metric score"));
  Scored other;
  fg::Trainer lenient{other, OnScore{.folder = folder.path, .strict = false}, fg::MaxEpochs{1}};
  lenient.fit(two_batches);
  CHECK(support::names_in(folder.path).empty());
}

/// Logs its score in validations, one each.
struct ScoredByValidation : Scored {
  void on_train_epoch_end(auto&) {}
  void validation_step(const torch::Tensor&, auto& step) { step.log("score", 1.0); }
};

TEST_CASE("a metric of a validation that comes after the first optimizer steps is said to be early, and what is advised works") {
  const support::TemporaryFolder folder;
  const OnScore every_step{.folder = folder.path, .save_top_k = -1, .every = fg::EveryStep{1}};
  ScoredByValidation model;
  fg::Trainer trainer{model, every_step, fg::MaxEpochs{2}};
  CHECK_THROWS_WITH(
      trainer.fit(two_batches, two_batches),
      "fulgurite: ModelCheckpoint follows the metric score, which has not been logged yet. Known metrics: none. No validation "
      "has logged anything yet: if one is to log score, it must come first (give fit a validation range; fg::ValidateEvery "
      "validates within epochs). Else log it with step.log(\"score\", value), or set .strict = false, which waits for it");

  OnScore waits = every_step;
  waits.strict = false;
  ScoredByValidation other;
  fg::Trainer lenient{other, waits, fg::MaxEpochs{2}};
  lenient.fit(two_batches, two_batches);
  CHECK(support::names_in(folder.path) == Names{"epoch=1-step=3.ckpt", "epoch=1-step=4.ckpt"});

  const support::TemporaryFolder second;
  OnScore later = every_step;
  later.folder = second.path;
  later.every = fg::EveryStep{2};
  ScoredByValidation third;
  fg::Trainer validates_first{third, later, fg::MaxEpochs{1}, fg::ValidateEvery{.interval = fg::Batches{1}}};
  validates_first.fit(two_batches, two_batches);
  CHECK(support::names_in(second.path) == Names{"epoch=0-step=2.ckpt"});
}

TEST_CASE("two that save into one folder do not touch each other's files") {
  const support::TemporaryFolder folder;
  Scored model;
  model.scores = {3.0, 1.0, 2.0};
  fg::Trainer trainer{model, OnScore{.folder = folder.path}, fg::ModelCheckpoint<>{.folder = folder.path}, fg::MaxEpochs{3}};
  trainer.fit(two_batches);
  const auto* best = trainer.template callback<OnScore>().best();
  const auto* newest = trainer.template callback<fg::ModelCheckpoint<>>().best();
  REQUIRE(best);
  REQUIRE(newest);
  CHECK(best->path != newest->path);
  CHECK(support::names_in(folder.path) == Names{std::filesystem::path(best->path).filename().string(),
                                       std::filesystem::path(newest->path).filename().string()});
  const auto step_in = [](const std::string& path) {
    return fg::detail::find(fg::detail::read_pickle(path), "global_step")->toInt();
  };
  CHECK(step_in(best->path) == 4);
  CHECK(step_in(newest->path) == 6);
}

TEST_CASE("a file of the one has what the other is still to save, and a fit that goes on from it saves that first") {
  const support::TemporaryFolder folder, other_folder;
  const auto trainer_of = [&](Scored& model, std::int64_t epochs) {
    model.scores = {1.0, 2.0};
    return fg::Trainer{model, fg::ModelCheckpoint<>{.folder = folder.path, .save_last = true}, OnScore{.folder = other_folder.path},
                       fg::MaxEpochs{epochs}};
  };
  Scored model, other;
  auto trainer = trainer_of(model, 1);
  trainer.fit(two_batches);
  std::filesystem::remove_all(other_folder.path);  // as a kill before it
  auto resumed = trainer_of(other, 2);
  fg::load_checkpoint(resumed, folder.path / "last.ckpt");
  resumed.fit(two_batches);
  const auto* best = resumed.template callback<OnScore>().best();
  REQUIRE(best);
  CHECK(best->score == 1.0);
  CHECK(support::names_in(other_folder.path) == Names{"epoch=0-step=2.ckpt"});
  Scored restored;
  auto from_best = trainer_of(restored, 2);
  fg::load_checkpoint(from_best, best->path);
  CHECK(from_best.progress().epoch == 1);
}

TEST_CASE("a folder that cannot be made is an error before anything is trained; the probe of one that can leaves nothing") {
  const support::TemporaryFolder folder;
  std::ofstream(folder.path / "file") << "in the way";
  Scored model;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path / "file" / "inside"}, fg::MaxEpochs{1}};
  CHECK_THROWS_WITH(trainer.fit(two_batches), ContainsSubstring("fulgurite: ModelCheckpoint cannot make the folder"));
  CHECK(trainer.progress() == fg::Progress{});

  Scored other;
  fg::Trainer none{other, fg::ModelCheckpoint<>{.folder = folder.path / "new", .every = fg::EveryStep{100}}, fg::MaxEpochs{1}};
  none.fit(two_batches);
  CHECK(support::names_in(folder.path / "new").empty());
}

TEST_CASE("what could not be written is not kept, and saved the next time") {
  const support::TemporaryFolder folder;
  Scored model;
  model.scores = {1.0, 2.0};
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path}, fg::MaxEpochs{1}};
  {
    const support::FullDisk full;
    CHECK_THROWS_WITH(trainer.fit(two_batches), ContainsSubstring("cannot save a checkpoint to"));
  }
  auto& callback = trainer.template callback<fg::ModelCheckpoint<>>();
  CHECK(callback.best() == nullptr);
  CHECK(!callback.saved_step);
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(two_batches);
  REQUIRE(callback.best());
  CHECK(callback.best()->path == (folder.path / "epoch=1-step=4.ckpt").string());
}

TEST_CASE("invalid values are refused") {
  Scored model;
  CHECK_THROWS_WITH((fg::Trainer{model, OnScore{.save_top_k = -2}}),
                    "fulgurite: ModelCheckpoint.save_top_k must be -1 (all), 0 (none) or more");
  CHECK_THROWS_WITH(
      (fg::Trainer{model, fg::ModelCheckpoint<>{.save_top_k = 2}}),
      "fulgurite: ModelCheckpoint.save_top_k must be -1, 0 or 1 without a metric to compare by: ModelCheckpoint<\"val_loss\">");
  CHECK_THROWS_WITH((fg::Trainer{model, fg::ModelCheckpoint<>{.every = fg::EveryStep{0}}}), ContainsSubstring("EveryStep.frequency"));
  fg::Trainer{model, fg::ModelCheckpoint<"val_loss">{.save_top_k = 2}};
}

TEST_CASE("a resumed run goes on with what was kept") {
  const support::TemporaryFolder folder;
  const auto trained = [&](Scored& model, std::int64_t epochs) {
    model.scores = {3.0, 1.0, 2.0, 0.5};
    return fg::Trainer{model, OnScore{.folder = folder.path, .save_top_k = 2, .save_last = true}, fg::MaxEpochs{epochs}};
  };
  Scored model, other;
  auto first = trained(model, 3);
  first.fit(two_batches);
  CHECK(support::names_in(folder.path) == Names{"epoch=1-step=4.ckpt", "epoch=2-step=6.ckpt", "last.ckpt"});
  auto second = trained(other, 4);
  fg::load_checkpoint(second, folder.path / "last.ckpt");
  CHECK(second.template callback<OnScore>().saved.size() == 2);
  second.fit(two_batches);
  CHECK(support::names_in(folder.path) == Names{"epoch=1-step=4.ckpt", "epoch=3-step=8.ckpt", "last.ckpt"});
  CHECK(second.template callback<OnScore>().best()->path == (folder.path / "epoch=3-step=8.ckpt").string());
}

}  // namespace
