// SPDX-License-Identifier: MIT
// A callback that saves checkpoints, and keeps the best of them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>
#include <vector>

#include <fulgurite/checkpoint/training.hpp>
#include <fulgurite/detail/fixed_string.hpp>
#include <fulgurite/detail/posix_file.hpp>
#include <fulgurite/policies/callback.hpp>
#include <fulgurite/policies/scheduler_interval.hpp>
#include <fulgurite/schedulers/reduce_lr_on_plateau.hpp>

namespace fulgurite {

/// A checkpoint that a `ModelCheckpoint` keeps.
struct SavedCheckpoint {
  std::string path;
  std::optional<double> score;  ///< of the metric, where one is followed

  /// For a checkpoint.
  template <class Archive>
  void state(Archive& archive) {
    archive("path", path);
    archive("score", score);
  }
};

/// Saves checkpoints `epoch=3-step=120.ckpt`, and keeps the `save_top_k` best by the metric in its type,
/// `ModelCheckpoint<"val_loss">{.save_top_k = 3}`; without one, `ModelCheckpoint<>`, the newest. Lightning's
/// ModelCheckpoint.
///
/// It saves once an epoch, when it is over; where `ValidateEvery` has validations at other times, after each of them; or
/// after every so many optimizer steps. Never twice at the same `global_step`.
///
/// Then `fit` throws std::invalid_argument for a metric that has not been logged (if `strict`), and std::runtime_error if
/// the checkpoint cannot be saved or an old one cannot be removed.
template <detail::FixedString Metric = "">
struct ModelCheckpoint {
  using slot = slots::Callback;
  static constexpr bool follows_metrics = true;
  static constexpr bool has_monitor = !Metric.empty();

  std::filesystem::path folder = "checkpoints";            ///< is made if there is none
  MetricMode mode = MetricMode::min;                       ///< whether a smaller or a greater value is better
  std::int64_t save_top_k = 1;                             ///< so many are kept; -1 is all of them, 0 none but the last
  bool save_last = false;                                  ///< the newest is also in `last.ckpt`
  std::variant<EveryEpoch, EveryStep> every = EveryEpoch{};  ///< `fg::EveryStep{500}`: after optimizer steps
  bool strict = true;                                      ///< a metric that nobody logged is an error

  std::vector<SavedCheckpoint> saved{};             ///< state, as the next ones: what is kept, the oldest first
  std::optional<std::int64_t> saved_step = std::nullopt;  ///< global_step when it saved last
  std::vector<SavedCheckpoint> due{};  ///< to be saved when the training rests: at most one, the file's stem for its path
  std::weak_ptr<const int> request{};  ///< to save that; expired if an exception has ended the fit or batch meanwhile
  bool owes = false;                   ///< `due` was in a checkpoint that was loaded
  /// Where it saves in the fit that runs; outside of one at epoch ends.
  enum class Saves { at_epoch_end, at_validation_end, never } saves = Saves::at_epoch_end;

  static constexpr std::string_view monitor() { return Metric.view(); }

  const char* problem() const {
    if (save_top_k < -1) return "ModelCheckpoint.save_top_k must be -1 (all), 0 (none) or more";
    if (!has_monitor && save_top_k > 1) {
      return "ModelCheckpoint.save_top_k must be -1, 0 or 1 without a metric to compare by: ModelCheckpoint<\"val_loss\">";
    }
    return std::visit([](const auto& interval) { return interval.problem(); }, every);
  }

  /// The checkpoint with the best score, without a metric the newest; nullptr if there is none. Valid until the next
  /// one is saved or a checkpoint is loaded.
  const SavedCheckpoint* best() const {
    const auto found =
        std::min_element(saved.rbegin(), saved.rend(), [&](const auto& a, const auto& b) { return precedes(a, b); });
    return found == saved.rend() ? nullptr : &*found;
  }

  /// Throws std::runtime_error if the folder cannot be made or written into, before anything is trained.
  void on_fit_start(auto& run) {
    saves = Saves::at_epoch_end;  // an exception may have ended the fit before
    if (run.is_rehearsal() || (save_top_k == 0 && !save_last)) return;
    without_file_errors([&] { detail::NewFile(free_path("probe").string()); });  // is removed again; its folder stays
    owes = owes && !due.empty() && due.front().path.ends_with(step_text(run.global_step()));
    if (owes) ask_to_save_due(run);
  }
  void on_train_start(auto& run) {
    saves = run.is_rehearsal()               ? Saves::never
            : run.metrics_come_with_epochs() ? Saves::at_epoch_end
                                             : Saves::at_validation_end;
  }
  void on_train_end(auto& /*run*/) { saves = Saves::at_epoch_end; }

  void on_train_batch_end(const auto& result, const auto& /*batch*/, auto& step) {
    const auto* steps = std::get_if<EveryStep>(&every);
    const bool may_save = saves != Saves::never || !step.in_fit();
    if (steps && may_save && result.stepped && step.global_step() % steps->frequency == 0) save(step);
  }
  void on_validation_end(auto& step) {
    if (saves == Saves::at_validation_end && step.in_fit() && step.progress().batches > 0) {
      save_in_epoch(step);  // else it is the sanity check
    }
  }
  void on_train_epoch_end(auto& step) {
    if (saves == Saves::at_epoch_end || !step.in_fit()) save_in_epoch(step);
  }

  void on_save_checkpoint(auto& checkpoint) {
    keep(checkpoint);
    if (!owes && request.expired()) due.clear();
    checkpoint("due", due);
  }
  void on_load_checkpoint(auto& checkpoint) {
    keep(checkpoint);
    due.clear();
    if (checkpoint.has("due")) checkpoint("due", due);  // older files lack it
    owes = true;
  }

 private:
  void keep(auto& checkpoint) {
    checkpoint("saved", saved);
    checkpoint("saved_step", saved_step);
  }

  template <class Act>
  static void without_file_errors(const Act& act) {
    try {
      act();
    } catch (const detail::FileError& error) {
      throw std::runtime_error(std::string("fulgurite: ModelCheckpoint ") + error.what());
    }
  }

  /// The one is to be kept rather than the other.
  bool precedes(const SavedCheckpoint& a, const SavedCheckpoint& b) const {
    if (!a.score || !b.score) return false;
    return mode == MetricMode::min ? *a.score < *b.score : *a.score > *b.score;
  }

  void save_in_epoch(auto& step) {
    const auto* epochs = std::get_if<EveryEpoch>(&every);
    if (epochs && (step.epoch() + 1) % epochs->frequency == 0) save(step);
  }

  void save(auto& step) {
    if (saved_step == step.global_step()) return;
    SavedCheckpoint candidate{{}, score(step)};
    if (has_monitor && !candidate.score) return;
    candidate.path = "epoch=" + std::to_string(step.epoch()) + step_text(step.global_step());
    due = {candidate};
    owes = false;
    ask_to_save_due(step);
  }

  /// `host`: a step or run.
  void ask_to_save_due(auto& host) {
    const auto lives = std::make_shared<const int>();
    request = lives;
    host.when_at_rest([this, lives](auto& engine) { this->save_due(engine); });
  }

  static std::string step_text(std::int64_t global_step) { return "-step=" + std::to_string(global_step); }

  void save_due(auto& engine) {
    owes = false;
    for (const SavedCheckpoint& asked : std::exchange(due, {})) write(engine, {{}, asked.score}, asked.path);
  }

  /// Only now, when the files of others that save here are there too.
  void write(auto& engine, SavedCheckpoint candidate, const std::string& stem) {
    // The file holds what is kept, itself included; what is not there in the end is not kept.
    auto saved_before = saved;
    auto step_before = std::exchange(saved_step, engine.progress().global_step);
    try {
      if (const auto loser = make_room(candidate)) {
        candidate.path = free_path(stem).string();
        saved.push_back(candidate);
        detail::write_checkpoint(engine, candidate.path);
        saved_before = saved;
        step_before = saved_step;
        // The new one is on the disk now, so the old one may go.
        if (!loser->path.empty()) without_file_errors([&] { detail::remove_file(loser->path); });
      }
      if (save_last) detail::write_checkpoint(engine, folder / "last.ckpt");
    } catch (...) {
      saved = std::move(saved_before);
      saved_step = step_before;
      throw;
    }
  }

  /// What falls out for the candidate, without a path if there was room; nothing if the candidate itself is not to be kept.
  std::optional<SavedCheckpoint> make_room(const SavedCheckpoint& candidate) {
    if (save_top_k == 0) return std::nullopt;
    if (save_top_k < 0 || saved.size() < static_cast<std::size_t>(save_top_k)) return SavedCheckpoint{};
    const auto worst =
        std::max_element(saved.begin(), saved.end(), [&](const auto& a, const auto& b) { return precedes(a, b); });
    if (has_monitor && !precedes(candidate, *worst)) return std::nullopt;
    std::optional<SavedCheckpoint> loser = std::move(*worst);
    saved.erase(worst);
    return loser;
  }

  std::filesystem::path free_path(const std::string& stem) const {
    auto path = folder / (stem + ".ckpt");
    std::error_code error;  // if it cannot be told, writing will say why
    for (int version = 1; std::filesystem::exists(path, error); ++version) {
      path = folder / (stem + "-v" + std::to_string(version) + ".ckpt");
    }
    return path;
  }

  /// The metric's value; one that is not a number is worse than any.
  std::optional<double> score(auto& step) const {
    if constexpr (has_monitor) {
      const std::optional<double> value = step.metrics().value(monitor());
      if (!value && strict) throw std::invalid_argument(step.metrics().missing("ModelCheckpoint", monitor()));
      if (!value || !std::isnan(*value)) return value;
      constexpr double infinity = std::numeric_limits<double>::infinity();
      return mode == MetricMode::min ? infinity : -infinity;
    } else {
      return std::nullopt;
    }
  }
};

}  // namespace fulgurite
