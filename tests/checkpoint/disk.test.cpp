// SPDX-License-Identifier: MIT
// What is on the disk when saving goes wrong: a system call fails, the power is cut, the process is killed.
#include <fulgurite/callbacks/model_checkpoint.hpp>
#include <fulgurite/checkpoint.hpp>

#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/policies.hpp>
#include <fulgurite/trainer.hpp>

#include <sys/wait.h>
#include <torch/torch.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/files.hpp"
#include "support/system_calls.hpp"
#include "support/temporary_folder.hpp"

namespace {

namespace fg = fulgurite;
namespace fs = std::filesystem;
using Catch::Matchers::ContainsSubstring;

/// Wide enough for several system calls per file.
struct Model : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(130, 130));
  torch::Tensor training_step(const torch::Tensor& batch, auto& step) {
    auto loss = layer->forward(batch).square().mean();
    step.log("loss", loss, fg::on_epoch);
    return loss;
  }
  auto configure_optimizers() { return fg::AdamW(parameters(), {.lr = 0.01}); }
};

const std::vector<torch::Tensor> batches(2, torch::ones({1, 130}));

bool is_readable(const fs::path& path) {
  try {
    return fg::detail::find(fg::detail::read_pickle(path), "state_dict").has_value();
  } catch (const std::exception&) {
    return false;
  }
}

/// Fails each system call of `save` in turn, with each of these errors, in a folder in which `prepare` has made what is there
/// before. After each, `look` is given the message, which is empty if there was no error.
template <class Prepare, class Save, class Look>
void fail_each_call(std::initializer_list<int> errors, const Prepare& prepare, const Save& save, const Look& look) {
  const support::WithoutSync fast;
  for (const int error : errors) {
    int number = 0;
    for (bool was_called = true; was_called;) {
      const support::TemporaryFolder folder;
      auto prepared = prepare(folder.path);
      support::Failure failure{++number, error};
      std::string problem;
      was_called = failure.during([&] {
        try {
          save(prepared, folder.path);
        } catch (const std::runtime_error& refused) {
          problem = refused.what();
        }
      });
      INFO(failure.call << ", call " << number << ": " << std::strerror(error) << "; " << problem);
      if (!problem.empty()) {
        CHECK_THAT(problem, ContainsSubstring(folder.path.string()) && ContainsSubstring(std::strerror(error)));
        CHECK(error != EINTR);   // a signal
        CHECK(error != EAGAIN);  // a short write
      }
      for (const auto& name : support::names_in(folder.path)) CHECK(!name.ends_with(".part"));
      look(prepared, folder.path, problem);
    }
    CHECK(number > 10);
  }
}

TEST_CASE("each system call of save_checkpoint fails in turn: the old checkpoint or the new one can be read") {
  Model model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  const auto step_in = [](const fs::path& path) {
    return fg::detail::find(fg::detail::read_pickle(path), "global_step")->toInt();
  };
  fail_each_call(
      {ENOSPC, EINTR, EAGAIN},
      [&](const fs::path& folder) {
        fg::save_checkpoint(trainer, folder / "run.ckpt");
        loop.step(batches[0]);
        return trainer.progress().global_step;
      },
      [&](std::int64_t, const fs::path& folder) { fg::save_checkpoint(trainer, folder / "run.ckpt"); },
      [&](std::int64_t now, const fs::path& folder, const std::string& problem) {
        const auto saved = step_in(folder / "run.ckpt");
        const bool is_new = problem.empty() || problem.find("the new file is in its place") != std::string::npos;
        CHECK(saved == (is_new ? now : now - 1));
        loop.step(batches[0]);  // and on it goes
        fg::save_checkpoint(trainer, folder / "run.ckpt");
        CHECK(step_in(folder / "run.ckpt") == now + 1);
      });
}

TEST_CASE("each system call of save_weights fails in turn: the old weights or the new ones can be read") {
  Model model, old, other;
  fail_each_call(
      {ENOSPC, EIO, EAGAIN},
      [&](const fs::path& folder) {
        fg::save_weights(old, folder / "weights.pt");
        return 0;
      },
      [&](int, const fs::path& folder) { fg::save_weights(model, folder / "weights.pt"); },
      [&](int, const fs::path& folder, const std::string& problem) {
        fg::load_weights(other, folder / "weights.pt");
        const bool is_new = problem.empty() || problem.find("the new file is in its place") != std::string::npos;
        CHECK(other.layer->weight.equal((is_new ? model : old).layer->weight));
      });
}

TEST_CASE("each system call of a ModelCheckpoint fails in turn: a checkpoint can be read, and the training may go on") {
  Model model;
  const auto made = [&](const fs::path& folder) {
    return std::make_unique<decltype(fg::Trainer{model, fg::ModelCheckpoint<>{}, fg::MaxEpochs{1}})>(
        model, fg::ModelCheckpoint<>{.folder = folder / "checkpoints", .save_last = true}, fg::MaxEpochs{1});
  };
  const auto require_readable = [](const fs::path& folder) {
    std::size_t checkpoints = 0;
    for (const auto& entry : fs::directory_iterator(folder / "checkpoints")) {
      INFO(entry.path());
      CHECK(is_readable(entry.path()));
      checkpoints += entry.path().filename() != "last.ckpt";
    }
    return checkpoints;
  };
  fail_each_call(
      {EIO},
      [&](const fs::path& folder) {
        auto trainer = made(folder);
        trainer->fit(batches);
        trainer->set_limit(fg::MaxEpochs{2});
        return trainer;
      },
      [&](auto& trainer, const fs::path&) { trainer->fit(batches); },
      [&](auto& trainer, const fs::path& folder, const std::string&) {
        CHECK(require_readable(folder) >= 1);
        trainer->set_limit(fg::MaxEpochs{3});
        trainer->fit(batches);
        CHECK(require_readable(folder) >= 1);
        const auto* newest = trainer->template callback<fg::ModelCheckpoint<>>().best();
        REQUIRE(newest);
        CHECK(newest->path.ends_with("epoch=2-step=6.ckpt"));
        CHECK(is_readable(newest->path));
        CHECK(is_readable(folder / "checkpoints" / "last.ckpt"));
      });
}

TEST_CASE("a ModelCheckpoint whose folder cannot be made, or whose old file cannot be removed, says so") {
  const support::TemporaryFolder folder;
  Model model;
  fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder.path / "checkpoints"}, fg::MaxEpochs{1}};
  const auto fit_without = [&](std::string_view call) {
    const support::WatchedCalls calls([call](const char* name) { return name == call ? EACCES : 0; });
    trainer.fit(batches);
  };
  CHECK_THROWS_WITH(fit_without("mkdir"), ContainsSubstring("fulgurite: ModelCheckpoint cannot make the folder " +
                                                            (folder.path / "checkpoints").string() + ": Permission denied"));
  trainer.set_limit(fg::MaxEpochs{2});
  trainer.fit(batches);
  trainer.set_limit(fg::MaxEpochs{3});
  CHECK_THROWS_WITH(fit_without("unlink"), ContainsSubstring("fulgurite: ModelCheckpoint cannot remove ") &&
                                               ContainsSubstring("epoch=1-step=4.ckpt: Permission denied"));
  CHECK(is_readable(trainer.template callback<fg::ModelCheckpoint<>>().best()->path));
}

/// A power cut after each system call of `train`, which saves in a folder: each file there that ends in .ckpt can be read, and
/// there is one once `is_saved`.
void cut_the_power(const std::function<void(const fs::path& folder, bool& is_saved)>& train) {
  const support::WithoutSync fast;
  const support::TemporaryFolder folder, after;
  std::map<std::string, bool> known;  // whether these bytes are a checkpoint
  bool is_saved = false;
  int states = 0;
  const support::UnsafeDisk* disk = nullptr;
  const auto look = [&](const support::UnsafeDisk::Files& files) {
    ++states;
    int checkpoints = 0;
    for (const auto& [path, bytes] : files) {
      if (!path.ends_with(".ckpt")) continue;
      ++checkpoints;
      const auto [found, is_unknown] = known.try_emplace(bytes, false);
      if (is_unknown) {
        support::write_file(after.path / "seen.ckpt", bytes);
        found->second = is_readable(after.path / "seen.ckpt");
      }
      if (!found->second) FAIL(path << " cannot be read: it has " << bytes.size() << " bytes");
    }
    if (is_saved && checkpoints == 0) FAIL("no checkpoint is left");
  };
  const support::UnsafeDisk watched([&] { disk->after_a_power_cut(look); });
  disk = &watched;
  train(folder.path, is_saved);
  CHECK(states > 100);
  CHECK(is_saved);
}

TEST_CASE("a power cut at any system call of a save leaves a checkpoint that can be read") {
  Model model;
  SECTION("one path again and again") {
    cut_the_power([&](const fs::path& folder, bool& is_saved) {
      fg::Trainer trainer{model};
      auto loop = trainer.loop();
      for (int i = 0; i < 3; ++i) {
        loop.step(batches[0]);
        fg::save_checkpoint(trainer, folder / "run.ckpt");
        is_saved = true;
      }
    });
  }
  SECTION("the newest of a ModelCheckpoint, in a folder that it makes") {
    cut_the_power([&](const fs::path& folder, bool& is_saved) {
      fg::Trainer trainer{model, fg::ModelCheckpoint<>{.folder = folder / "made" / "here"}, fg::MaxEpochs{1}};
      for (int epochs = 1; epochs <= 4; ++epochs) {
        trainer.set_limit(fg::MaxEpochs{epochs});
        trainer.fit(batches);
        is_saved = true;
      }
    });
  }
  SECTION("the best two and the last one") {
    cut_the_power([&](const fs::path& folder, bool& is_saved) {
      fg::Trainer trainer{model, fg::ModelCheckpoint<"loss">{.folder = folder, .save_top_k = 2, .save_last = true},
                          fg::MaxEpochs{1}};
      for (int epochs = 1; epochs <= 4; ++epochs) {
        trainer.set_limit(fg::MaxEpochs{epochs});
        trainer.fit(batches);
        is_saved = true;
      }
    });
  }
}

TEST_CASE("a process that is killed while it saves leaves a checkpoint that can be read, and what it left beside it goes") {
  const support::TemporaryFolder folder;
  const auto path = folder.path / "run.ckpt";
  Model model;
  fg::Trainer trainer{model};
  fg::save_checkpoint(trainer, path);
  for (int kill_after = 0; kill_after < 25; ++kill_after) {
    const pid_t child = fork();
    if (child == 0) {
      try {
        while (true) fg::save_checkpoint(trainer, path);
      } catch (...) {
        _exit(1);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(1000 + 1700 * kill_after));
    kill(child, SIGKILL);
    int status = 0;
    REQUIRE(waitpid(child, &status, 0) == child);
    REQUIRE(WIFSIGNALED(status));
    CHECK(is_readable(path));
  }
  fg::save_checkpoint(trainer, path);
  CHECK(support::names_in(folder.path) == std::set<std::string>{"run.ckpt"});
}

}  // namespace
