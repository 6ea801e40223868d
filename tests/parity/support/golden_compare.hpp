// SPDX-License-Identifier: MIT
// Comparing a run with a golden trace: in everything, or in what we decided to have instead.
#pragma once

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <iterator>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "golden_run.hpp"
#include "json.hpp"
#include "record.hpp"

namespace parity::golden {

inline bool agree(std::optional<double> ours, const Json& theirs, double tolerance) {
  if (theirs.is_null() || !ours) return theirs.is_null() && !ours;
  const double expected = number(theirs);
  return *ours == expected || std::abs(*ours - expected) <= tolerance;
}

inline std::string shown(const Row& row) {
  std::ostringstream out;
  out.precision(17);
  for (const auto& value : row) value ? out << *value << ' ' : out << "null ";
  return out.str();
}

/// The first `exact` numbers of a row are counters: those must be equal.
inline void require_rows(const char* what, const std::vector<Row>& ours, const Json& theirs,
                         std::size_t exact, double tolerance) {
  for (std::size_t i = 0; i < std::min(ours.size(), theirs.size()); ++i) {
    INFO(what << ", row " << i << ": " << shown(ours[i]) << ", expected " << theirs[i].dump());
    REQUIRE(ours[i].size() == theirs[i].size());
    for (std::size_t k = 0; k < ours[i].size(); ++k)
      REQUIRE(agree(ours[i][k], theirs[i][k], k < exact ? 0.0 : tolerance));
  }
  INFO(what);
  REQUIRE(ours.size() == theirs.size());
}

/// `searches`: the training steps by LBFGS. Of its evaluations the accepted one counts for us, each of them for Lightning (S84), so
/// that what training_step logs can only be compared in size: the accepted one is the better.
inline void require_metrics(const std::map<std::string, double>& ours, const Json& theirs, double tolerance, bool searches = false) {
  for (const auto& [name, value] : theirs.items()) {
    INFO("metric " << name << ", expected " << value.dump());
    REQUIRE(ours.contains(name));
    INFO("ours " << ours.at(name));
    if (searches && name.starts_with("train_loss")) {
      REQUIRE(std::isfinite(ours.at(name)));
      if (name != "train_loss_step") REQUIRE(ours.at(name) <= value.get<double>());
      continue;
    }
    REQUIRE(agree(ours.at(name), value, tolerance));
  }
}

/// What the logger got, and the gradient norms.
inline void require_logs(const Record& ours, const Json& trace, double tolerance) {
  const auto require_same = [&](const std::map<std::string, double>& values, const Json& expected) {
    REQUIRE(values.size() == expected.size());
    require_metrics(values, expected, tolerance);
  };
  if (const auto logged = trace.find("logged"); logged != trace.end()) {
    REQUIRE(ours.logged.size() == logged->size());
    for (std::size_t i = 0; i < ours.logged.size(); ++i) {
      INFO("logged, row " << i);
      REQUIRE(ours.logged[i].first == logged->at(i).at(0));
      require_same(ours.logged[i].second, logged->at(i).at(1));
    }
  }
  if (trace.contains("extra") && trace.at("extra").contains("grad_norm")) {
    const Json& norms = trace.at("extra").at("grad_norm");
    REQUIRE(ours.gradient_norms.size() == norms.size());
    for (std::size_t i = 0; i < norms.size(); ++i) require_same(ours.gradient_norms[i], norms[i]);
  }
}

inline void require_parameters(const Outcome& ours, const Json& theirs, double tolerance) {
  REQUIRE(ours.parameters.size() == theirs.size());
  for (const auto& [name, values] : theirs.items()) {
    const auto expected = numbers(values);
    const auto& actual = ours.parameters.at(name);
    REQUIRE(actual.size() == expected.size());
    for (std::size_t i = 0; i < actual.size(); ++i) {
      INFO(name << '[' << i << "]: differs by " << actual[i] - expected[i]);
      REQUIRE(std::abs(actual[i] - expected[i]) <= tolerance);
    }
  }
}

/// Events that only one side has: overridable defaults of Lightning, and where its raw step begins (ours runs
/// the closure before it).
inline std::vector<std::string> comparable(const std::string& hooks) {
  static const std::set<std::string> theirs_only{"optimizer_step>",
                                                 "<optimizer_step",
                                                 "optimizer_zero_grad",
                                                 "configure_gradient_clipping",
                                                 "backward",
                                                 "training_epoch_end",
                                                 "on_validation_model_zero_grad",
                                                 "on_validation_model_eval",
                                                 "on_validation_model_train"};
  std::vector<std::string> events;
  std::istringstream words(hooks);
  for (std::string word; words >> word;) {
    const bool begins_step = word.starts_with("opt") && word.ends_with(".step>");
    if (!theirs_only.contains(word) && !begins_step && !word.starts_with("scaler.")) events.push_back(word);
  }
  return events;
}

inline void require_events(const char* what, std::vector<std::string> ours, const Json& hooks) {
  if (!hooks.contains(what)) return;
  const auto theirs = comparable(hooks.at(what));
  const auto joined = [](const std::vector<std::string>& events) {
    std::string all;
    for (const auto& event : events) all += event + ' ';
    return all;
  };
  INFO(what << "\n  ours:     " << joined(ours) << "\n  expected: " << joined(theirs));
  REQUIRE(ours == theirs);
}

inline void require_hooks(const Record& record, const Json& hooks, const Json& config) {
  const auto slice = [&](std::size_t from, std::size_t to) {
    return std::vector<std::string>(std::next(record.events.begin(), static_cast<std::ptrdiff_t>(from)),
                                    std::next(record.events.begin(), static_cast<std::ptrdiff_t>(to)));
  };
  if (record.batch_ends.empty()) return;
  const auto window = accumulation_of(config).window(0);
  std::int64_t last_of_epoch0 = 0;
  for (const auto& [at, index] : record.batch_ends) {
    if (at.first == 0) last_of_epoch0 = std::max(last_of_epoch0, at.second);
  }
  const auto first_window_end = record.batch_ends.at({0, std::min(window - 1, last_of_epoch0)});
  require_events("first_window", slice(0, first_window_end), hooks);
  if (record.batch_ends.contains({1, 0})) {
    // The trace begins where the batch before ended, with what a validation in the middle of an epoch adds.
    const auto from = last_of_epoch0 > 0 ? record.batch_ends.at({0, last_of_epoch0 - 1})
                                         : record.batch_starts.at({0, last_of_epoch0});
    require_events("last_batch_of_epoch0_to_first_of_epoch1", slice(from, record.batch_ends.at({1, 0})),
                   hooks);
  }
  require_events("after_last_batch", slice(record.batch_ends.rbegin()->second, record.events.size()), hooks);
}

/// Steps that an optimizer really made.
inline std::int64_t steps_of(const Record& record, std::size_t optimizer, std::int64_t frequency = 1) {
  return std::count_if(record.optimizer_steps.begin(), record.optimizer_steps.end(), [&](const Row& row) {
    const auto batch = static_cast<std::int64_t>(*row[2]);
    return *row[0] == static_cast<double>(optimizer) && (batch + 1) % frequency == 0;
  });
}

inline void require_counts(const Record& record, const Json& counts) {
  const auto count = [&](const std::string& event) {
    return std::count(record.events.begin(), record.events.end(), event);
  };
  const auto training_steps =
      std::count_if(record.events.begin(), record.events.end(),
                    [](const std::string& event) { return event.starts_with("training_step"); });
  CHECK(training_steps == counts.at("training_step"));
  CHECK(count("on_after_backward") == counts.at("backward"));
  CHECK(count("on_before_zero_grad") == counts.at("zero_grad"));
  CHECK(count("on_before_optimizer_step") == counts.at("on_before_optimizer_step"));
  CHECK(count("validation_step") == counts.at("validation_step"));
  for (std::size_t i = 0; i < counts.at("optimizer_step").size(); ++i) {
    INFO("optimizer " << i);
    CHECK(steps_of(record, i) == counts.at("optimizer_step")[i]);
  }
  for (std::size_t i = 0; i < counts.at("scheduler_step").size(); ++i) {
    CHECK(count("sched" + std::to_string(i) + ".step") == counts.at("scheduler_step")[i]);
  }
}

inline double tolerance_of(const Json& file) {
  if (file.at("dtype") != "float64") return 1e-6;
  const bool amplifies = file.contains("amplification") && !file.at("amplification").is_null() &&
                         number(file.at("amplification")) >= 100.0;
  return amplifies ? 1e-10 : 1e-12;
}

/// One row if the rates never change, as in the traces.
inline std::vector<Row> abridged(std::vector<Row> lrs) {
  if (!lrs.empty() && std::all_of(lrs.begin(), lrs.end(), [&](const Row& row) { return row == lrs.front(); }))
    lrs.resize(1);
  return lrs;
}

/// The rows of the trainer's own schedules: what a callback does to the rates shows in training_step_lr.
inline Json without_callbacks(const Json& scheduler_steps) {
  Json rows = Json::array();
  for (const Json& row : scheduler_steps) {
    if (row.at(0) != -1) rows.push_back(row);
  }
  return rows;
}

/// The rows of batches as a run with our callbacks has them: SWALR steps before the last on_train_batch_end
/// of an epoch, StochasticWeightAverage in on_train_epoch_end, so those rows still have the rates of the row
/// before.
inline Json with_rates_before_swalr(Json batch_end, const Json& scheduler_steps) {
  for (const Json& step : scheduler_steps) {
    if (step.at(0) != -1) continue;
    for (std::size_t i = 1; i < batch_end.size(); ++i) {
      if (batch_end[i].at(0) != step.at(1) || batch_end[i].at(1) != step.at(2)) continue;
      for (std::size_t k = 5; k < batch_end[i].size(); ++k) batch_end[i][k] = batch_end[i - 1][k];
    }
  }
  return batch_end;
}

/// Everything as in the trace; its loss scale too, unless another one was decided on.
inline void require_match(const Json& file, const Outcome& ours, bool loss_scale = true) {
  const Json& trace = file.at("trace");
  const double tolerance = tolerance_of(file);
  const Record& record = ours.record;

  require_rows("training_steps", record.training_steps, trace.at("training_steps"), 4, tolerance);
  require_rows("training_step_lr", abridged(record.training_step_lr), trace.at("training_step_lr"), 0,
               tolerance);
  require_rows("optimizer_steps", record.optimizer_steps, trace.at("optimizer_steps"), 4, tolerance);
  require_rows("scheduler_steps", record.scheduler_steps, without_callbacks(trace.at("scheduler_steps")), 4,
               tolerance);
  if (loss_scale && trace.contains("scaler"))
    require_rows("scaler", record.scaler, trace.at("scaler"), 4, 0.0);
  require_rows("validation", record.validation, trace.at("validation"), 3, tolerance);
  // Sums of 212 squares of parameters, some above 1: more roundings, and each row in another order of adding.
  require_rows("batch_end", record.batch_end,
               with_rates_before_swalr(trace.at("batch_end"), trace.at("scheduler_steps")), 3,
               100.0 * tolerance);

  const Json& optimizers = file.at("config").at("optimizers");
  const bool searches = optimizers.size() == 1 && optimizers[0].at("type") == "LBFGS";
  const Json& epoch_end = trace.at("epoch_end");
  REQUIRE(record.epoch_end.size() == epoch_end.size());
  for (std::size_t i = 0; i < epoch_end.size(); ++i) {
    INFO("epoch_end, row " << i);
    for (std::size_t k = 0; k < 2; ++k) REQUIRE(agree(record.epoch_end[i].first[k], epoch_end[i][k], 0.0));
    require_metrics(record.epoch_end[i].second, epoch_end[i][2], tolerance, searches);
  }

  const Json& final = trace.at("final");
  CHECK(ours.progress.global_step == final.at("global_step"));
  CHECK(ours.progress.epoch == final.at("current_epoch"));
  require_rows("final lr", {ours.lrs}, Json::array({final.at("lr")}), 0, tolerance);
  require_metrics(record.metrics, final.at("callback_metrics"), tolerance, searches);
  require_logs(record, trace, tolerance);
  require_parameters(ours, final.at("params"), tolerance);
  require_counts(record, trace.at("counts"));
  if (trace.contains("hooks")) require_hooks(record, trace.at("hooks"), file.at("config"));
}

// --- what we decided to have instead -----------------------------------------------------------------------

/// The rule by which a run may differ from its trace; empty if there is none, and the run must be as the
/// trace.
inline std::string deviation(const Json& file, const Outcome& ours) {
  const Json& config = file.at("config");
  const Json trainer = trainer_of(config);
  const Json schedulers = config.value("schedulers", Json::array());
  const bool manual = config.at("mode").get<std::string>().starts_with("manual");
  const bool scaled = !ours.record.scaler.empty();
  const bool v1 = file.at("engine").at("lightning").get<std::string>().starts_with("1.");
  const bool several = config.at("optimizers").size() > 1;
  if (config.contains("resume")) return config.at("resume").value("checkpoint", Json::object()).empty() ? "S112" : "S114";
  if (scaled && ours.progress.skipped_steps > 0) return "S51";
  if (scaled && several) return "S52";
  if (scaled && config.contains("manual_clip")) return "S48";
  if (config.contains("frequencies") && !schedulers.empty()) return "S32";
  if (config.contains("stop_epoch_at_batch")) return "S11";
  if (config.value("val", true)) {
    if (manual && config.value("program", "") == "manual_acc") return "S76";
    if (v1 && !several && accumulates(config) && trainer.contains("val_check_interval")) return "S76";
  }
  for (const Json& scheduler : schedulers) {
    if (!is_plateau(scheduler)) continue;
    if (v1 && !several && scheduler.value("interval", "epoch") == "step") return "S65";
    if (scheduler.value("monitor", "") == "val_loss" &&
        trainer.value("check_val_every_n_epoch", Json(1)) != 1)
      return "S64";
  }
  return {};
}

/// A run that was interrupted is, bit for bit, the one that never stopped.
inline void require_same_run(const Outcome& ours, const Outcome& uninterrupted) {
  const Record &a = ours.record, &b = uninterrupted.record;
  CHECK((a.training_steps == b.training_steps));
  CHECK((a.training_step_lr == b.training_step_lr));
  CHECK((a.optimizer_steps == b.optimizer_steps));
  CHECK((a.scheduler_steps == b.scheduler_steps));
  CHECK((a.batch_end == b.batch_end));
  CHECK((a.validation == b.validation));
  CHECK((a.epoch_end == b.epoch_end));
  CHECK((a.scaler == b.scaler));
  CHECK((a.metrics == b.metrics));
  CHECK((ours.lrs == uninterrupted.lrs));
  CHECK((ours.progress == uninterrupted.progress));
  CHECK((ours.parameters == uninterrupted.parameters));
}

/// The scale and its growth tracker move once a batch, after all steps; and not in a batch without one.
inline void require_loss_scale(const Record& record, const fg::LossScaleOptions& options) {
  double scale = options.initial_scale;
  std::int64_t tracker = 0;
  REQUIRE(record.scaler.size() == record.batch_end.size());
  for (const Row& row : record.scaler) {
    const std::pair at{static_cast<std::int64_t>(*row[0]), static_cast<std::int64_t>(*row[1])};
    const auto begin =
        std::next(record.events.begin(), static_cast<std::ptrdiff_t>(record.batch_starts.at(at)));
    const auto end = std::next(record.events.begin(), static_cast<std::ptrdiff_t>(record.batch_ends.at(at)));
    const auto attempts = std::count(begin, end, "on_before_optimizer_step");
    const auto steps =
        std::count_if(begin, end, [](const std::string& event) { return event.starts_with("<opt"); });
    if (steps < attempts) {
      scale *= options.backoff_factor;
      tracker = 0;
    } else if (attempts > 0 && ++tracker == options.growth_interval) {
      scale *= options.growth_factor;
      tracker = 0;
    }
    INFO("scaler: " << shown(row) << ", expected " << scale << ' ' << tracker);
    REQUIRE(*row[2] == scale);
    REQUIRE(*row[3] == static_cast<double>(tracker));
  }
}

/// A trainer's schedules have advanced with the steps of their optimizers, or with the epochs.
inline void require_schedules_follow(const Json& config, const Outcome& ours) {
  const Json schedulers = config.value("schedulers", Json::array());
  for (std::size_t i = 0; i < schedulers.size(); ++i) {
    const auto frequency = schedulers[i].value("frequency", std::int64_t{1});
    const bool by_step = schedulers[i].value("interval", "epoch") == "step";
    const auto steps = std::count(ours.record.events.begin(), ours.record.events.end(),
                                  "sched" + std::to_string(i) + ".step");
    INFO("schedule " << i);
    if (is_plateau(schedulers[i]) && schedulers[i].value("monitor", "") == "val_loss") {
      CHECK(steps <=
            static_cast<std::int64_t>(ours.record.validation.size()));  // never fed with a stale value
      if (by_step || frequency != 1) continue;
      std::set<double> epochs;
      for (const Row& row : ours.record.validation) epochs.insert(*row[0]);
      CHECK(steps == static_cast<std::int64_t>(epochs.size()));
    } else {
      const auto of = schedulers[i].value("opt", std::size_t{0});
      CHECK(steps == (by_step ? steps_of(ours.record, of, frequency) : ours.progress.epoch / frequency));
    }
  }
}

/// The rows of training steps up to a place in the run, losses and rates included.
inline void require_prefix(const Json& trace, const Outcome& ours, double tolerance, std::int64_t epochs,
                           std::optional<std::int64_t> batches = {}) {
  const Json& rows = trace.at("training_steps");
  const Json& lrs = trace.at("training_step_lr");
  std::size_t compared = 0;
  for (; compared < rows.size(); ++compared) {
    const Json& row = rows[compared];
    if (row.at(0) >= epochs && !(batches && row.at(0) == epochs && row.at(1) <= *batches)) break;
    INFO("training_steps, row " << compared);
    require_rows("training_steps", {ours.record.training_steps.at(compared)}, Json::array({row}), 4,
                 tolerance);
    const Json& lr = lrs.size() == 1 ? lrs[0] : lrs[compared];
    require_rows("training_step_lr", {ours.record.training_step_lr.at(compared)}, Json::array({lr}), 0,
                 tolerance);
  }
  REQUIRE(compared > 0);
}

inline void require_same_parameters(const Outcome& ours, const Outcome& theirs, double tolerance) {
  require_parameters(ours, Json(theirs.parameters), tolerance);
}

/// S51: a step that the loss scale skipped counts nowhere. The rates at the steps that were made are those of
/// a run in which no step was skipped.
inline void require_skips_count_nowhere(const Json& config, const Outcome& ours) {
  const auto of_batch = [](const Row& row) { return std::pair(*row[0], *row[1]); };
  std::int64_t skipped = 0;
  for (std::size_t i = 1; i < ours.record.batch_end.size(); ++i) {
    INFO("batch_end, row " << i << ": " << shown(ours.record.batch_end[i]));
    const auto made = std::count_if(
        ours.record.optimizer_steps.begin(), ours.record.optimizer_steps.end(),
        [&](const Row& row) { return std::pair(*row[1], *row[2]) == of_batch(ours.record.batch_end[i]); });
    REQUIRE(*ours.record.batch_end[i][2] - *ours.record.batch_end[i - 1][2] == static_cast<double>(made));
    if (made == 0) {  // parameters are as they were
      REQUIRE(*ours.record.batch_end[i][3] == *ours.record.batch_end[i - 1][3]);
      REQUIRE(*ours.record.batch_end[i][4] == *ours.record.batch_end[i - 1][4]);
      ++skipped;
    }
  }
  REQUIRE(skipped > 0);

  Json without = config;
  without.erase("scaler");
  without.erase("amp16");
  without.erase("inf_batches");
  if (without.value("program", "") == "scaler_inf") without.erase("program");
  const Outcome plain = run_case(without);
  for (std::size_t i = 0; i < ours.record.optimizer_steps.size(); ++i) {
    INFO("step " << i);
    const Row& row = ours.record.optimizer_steps[i];
    REQUIRE(*row.back() == *plain.record.optimizer_steps.at(i).back());
    REQUIRE(*row[3] == static_cast<double>(i));
  }
}

/// Where we decided otherwise: the batches are the same ones, schedules follow steps and epochs, and what the
/// rule says; with `same_final_params_as`, the parameters are those of that case.
inline void require_decided_form(const Json& file, const Outcome& ours, const std::string& rule) {
  const Json& config = file.at("config");
  if (rule == "S112" || rule == "S114") {
    Json without = config;
    without.erase("resume");
    return require_same_run(ours, run_case(without));
  }
  const Json& trace = file.at("trace");
  const double tolerance = tolerance_of(file);
  if (const auto other = file.find("same_final_params_as"); other != file.end() && !other->is_null()) {
    const auto path = folder() / "golden" / (other->get<std::string>() + ".json");
    if (std::filesystem::exists(path)) {
      const Json& reference = read_json(path);
      require_parameters(ours, reference.at("trace").at("final").at("params"), tolerance_of(reference));
    }
  }
  const Json& theirs = trace.at("training_steps");
  REQUIRE(ours.record.training_steps.size() == theirs.size());
  const std::size_t same = rule == "S51" ? 3 : 4;  // epoch, batch, optimizer, and global_step
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    for (std::size_t k = 0; k < same; ++k)
      REQUIRE(agree(ours.record.training_steps[i][k], theirs[i][k], 0.0));
  }
  if (!config.at("mode").get<std::string>().starts_with("manual")) require_schedules_follow(config, ours);
  if (!ours.record.scaler.empty()) {
    require_loss_scale(ours.record, loss_scale_of(config.value("scaler", Json::object())));
  }

  if (rule == "S51") {
    require_skips_count_nowhere(config, ours);
  } else if (rule == "S52") {
    require_match(file, ours, /*loss_scale=*/false);  // powers of two change no number
  } else if (rule == "S48") {
    Json without = config;
    without.erase("scaler");
    require_same_parameters(ours, run_case(without), tolerance);
  } else if (rule == "S76") {
    Json without = config;
    without["val"] = false;
    require_same_parameters(ours, run_case(without), 0.0);
    require_prefix(trace, ours, tolerance, 0, 0);
  } else if (rule == "S64" || rule == "S65") {
    require_prefix(trace, ours, tolerance, 1);
  } else {  // S11, S32: the first epoch is as in the trace
    require_prefix(trace, ours, tolerance, 1);
  }
}

}  // namespace parity::golden
