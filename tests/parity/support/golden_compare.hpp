// SPDX-License-Identifier: MIT
// Comparing a run with a golden trace, or with the plain loop where we decided otherwise. What differs first is thrown.
#pragma once

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

#include "golden_reference.hpp"
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
inline void require_rows(const char* what, const std::vector<Row>& ours, const Json& theirs, std::size_t exact,
                         double tolerance) {
  const auto count = theirs.is_array() ? theirs.size() : 0;
  for (std::size_t i = 0; i < std::min(ours.size(), count); ++i) {
    const Json& row = theirs.at(i);
    bool same = row.is_array() && ours[i].size() == row.size();
    for (std::size_t k = 0; same && k < ours[i].size(); ++k) same = agree(ours[i][k], row.at(k), k < exact ? 0.0 : tolerance);
    if (!same) differ(what, ", row ", i, ": ", shown(ours[i]), ", expected ", row);
  }
  if (!theirs.is_array() || ours.size() != count) differ(what, ": ", ours.size(), " rows, expected ", count);
}

/// `searches`: the training steps by LBFGS. Of its evaluations the accepted one counts for us, each of them for Lightning
/// (S84), so that what training_step logs can only be compared in size: the accepted one is the better.
inline void require_metrics(const std::map<std::string, double>& ours, const Json& theirs, double tolerance,
                            bool searches = false) {
  if (!theirs.is_object()) differ("no metrics: ", theirs);
  for (const auto& [name, value] : theirs.items()) {
    const auto found = ours.find(name);
    if (found == ours.end()) differ("there is no metric ", name, ", expected ", value);
    const bool smaller = searches && name.starts_with("train_loss");
    const bool same = !smaller ? agree(found->second, value, tolerance)
                               : std::isfinite(found->second) && (name == "train_loss_step" || found->second <= number(value));
    if (!same) differ("metric ", name, ": ", found->second, ", expected ", value);
  }
  if (ours.size() != theirs.size()) differ(ours.size(), " metrics, expected ", theirs);
}

/// What the logger got, and the gradient norms.
inline void require_logs(const Record& ours, const Json& trace, double tolerance) {
  if (const auto logged = trace.find("logged"); logged != trace.end()) {
    if (ours.logged.size() != logged->size()) differ("logged: ", ours.logged.size(), " rows, expected ", logged->size());
    for (std::size_t i = 0; i < ours.logged.size(); ++i) {
      const Json& row = logged->at(i);
      if (row.size() != 2 || ours.logged[i].first != row.at(0))
        differ("logged, row ", i, ": at ", ours.logged[i].first, ", expected ", row);
      require_metrics(ours.logged[i].second, row.at(1), tolerance);
    }
  }
  if (trace.contains("extra") && trace.at("extra").contains("grad_norm")) {
    const Json& norms = trace.at("extra").at("grad_norm");
    if (ours.gradient_norms.size() != norms.size()) {
      differ("gradient norms of ", ours.gradient_norms.size(), " steps, expected ", norms.size());
    }
    for (std::size_t i = 0; i < norms.size(); ++i) require_metrics(ours.gradient_norms[i], norms.at(i), tolerance);
  }
}

/// The losses that on_train_batch_end got. Lightning's are divided by the window's length, ours are not (S20).
inline void require_outputs(const Record& ours, const Json& outputs, const Json& config, double tolerance) {
  if (ours.outputs.size() != outputs.size()) differ("losses of ", ours.outputs.size(), " batches, expected ", outputs.size());
  const auto accumulation = accumulation_of(config);
  auto theirs = outputs.begin();
  for (const auto& [at, loss] : ours.outputs) {
    const double divided = loss / static_cast<double>(accumulation.window(at.first));
    if (!agree(divided, *theirs, tolerance)) {
      differ("the loss after epoch ", at.first, ", batch ", at.second, ": ", divided, ", expected ", *theirs);
    }
    ++theirs;
  }
}

inline void require_parameters(const Outcome& ours, const Json& theirs, double tolerance) {
  if (!theirs.is_object() || ours.parameters.size() != theirs.size()) {
    differ(ours.parameters.size(), " parameters, expected ", theirs.size());
  }
  for (const auto& [name, values] : theirs.items()) {
    const auto expected = numbers(values);
    const auto found = ours.parameters.find(name);
    if (found == ours.parameters.end() || found->second.size() != expected.size()) differ("no parameter is like ", name);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const double difference = found->second[i] - expected[i];
      if (!(std::abs(difference) <= tolerance)) differ(name, '[', i, "]: differs by ", difference);
    }
  }
}

/// Which words of a trace's hooks are compared.
enum class Words {
  all,
  shared,            ///< but those that only Lightning has: overridable defaults, its loss scaler's, where its raw step begins
  without_schedules  ///< of these, without the steps of schedules
};

inline bool is_compared(const std::string& word, Words which) {
  static const std::set<std::string> theirs_only{"optimizer_step>",
                                                 "<optimizer_step",
                                                 "optimizer_zero_grad",
                                                 "configure_gradient_clipping",
                                                 "backward",
                                                 "training_epoch_end",
                                                 "on_validation_model_zero_grad",
                                                 "on_validation_model_eval",
                                                 "on_validation_model_train"};
  if (which == Words::all) return true;
  if (which == Words::without_schedules && word.starts_with("sched")) return false;
  const bool begins_step = word.starts_with("opt") && word.ends_with(".step>");
  return !theirs_only.contains(word) && !begins_step && !word.starts_with("scaler.");
}

inline void require_events(const char* what, const std::vector<std::string>& events, const Json& hooks, Words which) {
  std::vector<std::string> ours, theirs;
  for (const auto& event : events) {
    if (is_compared(event, which)) ours.push_back(event);
  }
  std::istringstream words(hooks.at(what).get<std::string>());
  for (std::string word; words >> word;) {
    if (is_compared(word, which)) theirs.push_back(word);
  }
  if (ours == theirs) return;
  const auto joined = [](const std::vector<std::string>& all) {
    std::string text;
    for (const auto& event : all) text += event + ' ';
    return text;
  };
  differ(what, "\n  ours:     ", joined(ours), "\n  expected: ", joined(theirs));
}

inline void require_hooks(const Record& record, const Json& hooks, const Json& config, Words which) {
  const auto slice = [&](std::size_t from, std::size_t to) {
    return std::vector<std::string>(std::next(record.events.begin(), static_cast<std::ptrdiff_t>(from)),
                                    std::next(record.events.begin(), static_cast<std::ptrdiff_t>(to)));
  };
  if (record.batch_ends.empty()) differ("no batch has ended");
  const auto window = accumulation_of(config).window(0);
  std::int64_t last_of_epoch0 = 0;
  for (const auto& [at, index] : record.batch_ends) {
    if (at.first == 0) last_of_epoch0 = std::max(last_of_epoch0, at.second);
  }
  const auto first_window_end = record.batch_ends.at({0, std::min(window - 1, last_of_epoch0)});
  require_events("first_window", slice(0, first_window_end), hooks, which);
  const char* const seam = "last_batch_of_epoch0_to_first_of_epoch1";
  if (record.batch_ends.contains({1, 0})) {
    // The trace begins where the batch before ended, with what a validation in the middle of an epoch adds.
    const auto from =
        last_of_epoch0 > 0 ? record.batch_ends.at({0, last_of_epoch0 - 1}) : record.batch_starts.at({0, last_of_epoch0});
    require_events(seam, slice(from, record.batch_ends.at({1, 0})), hooks, which);
  } else if (hooks.contains(seam)) {
    differ("there is no second epoch");
  }
  require_events("after_last_batch", slice(record.batch_ends.rbegin()->second, record.events.size()), hooks, which);
}

/// Steps that an optimizer really made.
inline std::int64_t steps_of(const Record& record, std::size_t optimizer) {
  return std::count_if(record.optimizer_steps.begin(), record.optimizer_steps.end(),
                       [&](const Row& row) { return *row[0] == static_cast<double>(optimizer); });
}

inline void require_counts(const Record& record, const Json& counts) {
  const auto count = [&](const std::string& event) { return std::count(record.events.begin(), record.events.end(), event); };
  const auto require = [](const std::string& what, std::int64_t ours, const Json& theirs) {
    if (ours != theirs) differ("counted ", what, " ", ours, " times, expected ", theirs);
  };
  const auto training_steps = std::count_if(record.events.begin(), record.events.end(), [](const std::string& event) {
    return event.starts_with("training_step") && event != "training_epoch_end";
  });
  require("training_step", training_steps, counts.at("training_step"));
  require("backward", count("on_after_backward"), counts.at("backward"));
  require("zero_grad", count("on_before_zero_grad"), counts.at("zero_grad"));
  require("on_before_optimizer_step", count("on_before_optimizer_step"), counts.at("on_before_optimizer_step"));
  require("validation_step", count("validation_step"), counts.at("validation_step"));
  for (std::size_t i = 0; i < counts.at("optimizer_step").size(); ++i) {
    require("optimizer " + std::to_string(i), steps_of(record, i), counts.at("optimizer_step").at(i));
  }
  for (std::size_t i = 0; i < counts.at("scheduler_step").size(); ++i) {
    require("schedule " + std::to_string(i), count("sched" + std::to_string(i) + ".step"), counts.at("scheduler_step").at(i));
  }
}

inline double tolerance_of(const Json& file) {
  if (file.at("dtype") != "float64") return 1e-6;
  const bool amplifies =
      file.contains("amplification") && !file.at("amplification").is_null() && number(file.at("amplification")) >= 100.0;
  return amplifies ? 1e-10 : 1e-12;
}
// Sums of 212 squares of parameters, some above 1: more roundings, and each row in another order of adding.
constexpr double sums = 100.0;

/// One row if the rates never change, as in the traces.
inline std::vector<Row> abridged(std::vector<Row> lrs) {
  if (!lrs.empty() && std::all_of(lrs.begin(), lrs.end(), [&](const Row& row) { return row == lrs.front(); })) lrs.resize(1);
  return lrs;
}

/// The rows of the trainer's own schedules. Those of a callback (SWALR, -1) are what its rates say: the rate with which the
/// training goes on.
inline Json without_callbacks(const Json& scheduler_steps, const Outcome& ours, double tolerance) {
  Json rows = Json::array();
  std::optional<std::int64_t> last;  // an epoch that a callback's row is of
  for (const Json& row : scheduler_steps) {
    if (row.at(0) != -1) {
      rows.push_back(row);
      continue;
    }
    const auto epoch = row.at(1).get<std::int64_t>();
    if (last && epoch != *last + 1)
      differ("scheduler_steps: ", row, " is not of the epoch after that of the callback's row before");
    last = epoch;
    const auto& ends = ours.record.batch_end;
    const auto end =
        std::find_if(ends.begin(), ends.end(), [&](const Row& at) { return *at[0] == row.at(1) && *at[1] == row.at(2); });
    const auto& starts = ours.record.training_steps;
    const auto next = std::find_if(starts.begin(), starts.end(), [&](const Row& at) { return *at[0] > row.at(1); });
    const auto& lr =
        next == starts.end() ? ours.lrs : ours.record.training_step_lr.at(static_cast<std::size_t>(next - starts.begin()));
    if (row.size() != 6 || end == ends.end() || *end->at(2) != row.at(3) || !row.at(4).is_null() ||
        !agree(lr.at(0), row.at(5), tolerance)) {
      differ("scheduler_steps: ", row, " is not what the callback did, which goes on with ", *lr.at(0));
    }
  }
  if (last && *last + 1 != ours.progress.epoch) differ("scheduler_steps: no row of a callback's in the last epoch");
  return rows;
}

/// The rows of batches as a run with our callbacks has them: SWALR steps before the last on_train_batch_end
/// of an epoch, StochasticWeightAveraging in on_train_epoch_end, so those rows still have the rates of the row
/// before. The rates that the trace has there are those of SWALR's step.
inline Json with_rates_before_swalr(Json batch_end, const Json& scheduler_steps) {
  for (const Json& step : scheduler_steps) {
    if (step.at(0) != -1) continue;
    for (std::size_t i = 1; i < batch_end.size(); ++i) {
      if (batch_end.at(i).at(0) != step.at(1) || batch_end.at(i).at(1) != step.at(2)) continue;
      if (batch_end.at(i).at(5) != step.at(5)) differ("batch_end, row ", i, ": another rate than SWALR's");
      for (std::size_t k = 5; k < batch_end.at(i).size(); ++k) batch_end.at(i).at(k) = batch_end.at(i - 1).at(k);
    }
  }
  return batch_end;
}

/// Everything as in the trace, or what of it is asked for.
struct Compared {
  Words words = Words::shared;
  bool loss_scale = true;
  bool logs = true;       ///< what the logger gets
  bool searches = false;  ///< the metrics of an optimizer that searches are those of its accepted evaluations (S84)
};

inline void require_match(const Json& file, const Outcome& ours, const Compared& compared) {
  const Json& trace = file.at("trace");
  const Json& config = file.at("config");
  const double tolerance = tolerance_of(file);
  const Record& record = ours.record;

  require_rows("training_steps", record.training_steps, trace.at("training_steps"), 4, tolerance);
  require_rows("training_step_lr", abridged(record.training_step_lr), trace.at("training_step_lr"), 0, tolerance);
  require_rows("optimizer_steps", record.optimizer_steps, trace.at("optimizer_steps"), 4, tolerance);
  require_rows("scheduler_steps", record.scheduler_steps, without_callbacks(trace.at("scheduler_steps"), ours, tolerance), 4,
               tolerance);
  if (compared.loss_scale) require_rows("scaler", record.scaler, trace.value("scaler", Json::array()), 4, 0.0);
  require_rows("validation", record.validation, trace.at("validation"), 3, tolerance);
  require_rows("batch_end", record.batch_end, with_rates_before_swalr(trace.at("batch_end"), trace.at("scheduler_steps")), 3,
               sums * tolerance);

  const Json& epoch_end = trace.at("epoch_end");
  if (record.epoch_end.size() != epoch_end.size())
    differ(record.epoch_end.size(), " epochs ended, expected ", epoch_end.size());
  for (std::size_t i = 0; i < epoch_end.size(); ++i) {
    const Json& row = epoch_end.at(i);
    if (row.size() != 3) differ("epoch_end, row ", i, ": ", row);
    require_rows("epoch_end", {record.epoch_end[i].first}, Json::array({Json::array({row.at(0), row.at(1)})}), 2, 0.0);
    require_metrics(record.epoch_end[i].second, row.at(2), tolerance, compared.searches);
  }

  const Json& final = trace.at("final");
  if (ours.progress.global_step != final.at("global_step"))
    differ("global_step ", ours.progress.global_step, ", expected ", final.at("global_step"));
  if (ours.progress.epoch != final.at("current_epoch"))
    differ("epoch ", ours.progress.epoch, ", expected ", final.at("current_epoch"));
  require_rows("final lr", {ours.lrs}, Json::array({final.at("lr")}), 0, tolerance);
  require_metrics(record.metrics, final.at("callback_metrics"), tolerance, compared.searches);
  if (compared.logs) require_logs(record, trace, tolerance);
  if (trace.contains("extra") && trace.at("extra").contains("outputs_loss")) {
    require_outputs(record, trace.at("extra").at("outputs_loss"), config, tolerance);
  }
  require_parameters(ours, final.at("params"), tolerance);
  require_counts(record, trace.at("counts"));
  require_hooks(record, trace.at("hooks"), config, compared.words);
}

// --- what we decided to have instead -----------------------------------------------------------------------

/// The rules by which a run may differ from its trace; if there is none, the run must be as the trace.
inline std::set<std::string> deviations(const Json& file, const Outcome& ours) {
  std::set<std::string> rules;
  const Json& config = file.at("config");
  const Json trainer = trainer_of(config);
  const Json schedulers = config.value("schedulers", Json::array());
  const bool manual = config.at("mode").get<std::string>().starts_with("manual");
  const bool scaled = !ours.record.scaler.empty();
  const bool v1 = file.at("engine").at("lightning").get<std::string>().starts_with("1.");
  const bool several = config.at("optimizers").size() > 1;
  if (config.contains("resume"))
    rules.insert(config.at("resume").value("checkpoint", Json::object()).empty() ? "S112" : "S114");
  if (scaled && ours.progress.skipped_steps > 0) rules.insert("S51");
  if (scaled && several) rules.insert("S52");
  if (scaled && config.contains("manual_clip")) rules.insert("S48");
  if (config.contains("frequencies") && !schedulers.empty()) rules.insert("S32");
  if (config.contains("stop_epoch_at_batch")) rules.insert("S11");
  if (config.value("val", true)) {
    if (manual && config.value("program", "") == "manual_acc") rules.insert("S76");
    if (v1 && !several && accumulates(config) && trainer.contains("val_check_interval")) rules.insert("S76");
  }
  for (const Json& scheduler : schedulers) {
    if (!is_plateau(scheduler)) continue;
    if (v1 && !several && scheduler.value("interval", "epoch") == "step") rules.insert("S65");
    if (scheduler.value("monitor", "") == "val_loss" && trainer.value("check_val_every_n_epoch", Json(1)) != 1)
      rules.insert("S64");
  }
  return rules;
}

/// Two runs, number by number, and hook by hook: ours has no more and no fewer of them.
inline void require_same_run(const Outcome& ours, const Outcome& theirs, double tolerance, bool hooks = true) {
  const auto rows = [&](const char* what, const std::vector<Row>& a, const std::vector<Row>& b, std::size_t exact,
                        double within) {
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      bool same = a[i].size() == b[i].size();
      for (std::size_t k = 0; same && k < a[i].size(); ++k) {
        same = a[i][k] == b[i][k] || (k >= exact && a[i][k] && b[i][k] && std::abs(*a[i][k] - *b[i][k]) <= within);
      }
      if (!same) differ(what, ", row ", i, ": ", shown(a[i]), ", expected ", shown(b[i]));
    }
    if (a.size() != b.size()) differ(what, ": ", a.size(), " rows, expected ", b.size());
  };
  const auto metrics = [&](const std::map<std::string, double>& a, const std::map<std::string, double>& b) {
    for (const auto& [name, value] : b) {
      if (!a.contains(name) || !(a.at(name) == value || std::abs(a.at(name) - value) <= tolerance))
        differ("metric ", name, ", expected ", value);
    }
    if (a.size() != b.size()) differ(a.size(), " metrics, expected ", b.size());
  };
  const Record &a = ours.record, &b = theirs.record;
  rows("training_steps", a.training_steps, b.training_steps, 4, tolerance);
  rows("training_step_lr", a.training_step_lr, b.training_step_lr, 0, tolerance);
  rows("optimizer_steps", a.optimizer_steps, b.optimizer_steps, 4, tolerance);
  rows("scheduler_steps", a.scheduler_steps, b.scheduler_steps, 4, tolerance);
  rows("batch_end", a.batch_end, b.batch_end, 3, sums * tolerance);
  rows("validation", a.validation, b.validation, 3, tolerance);
  rows("scaler", a.scaler, b.scaler, 4, 0.0);
  rows("final lr", {ours.lrs}, {theirs.lrs}, 0, tolerance);
  if (a.epoch_end.size() != b.epoch_end.size()) differ(a.epoch_end.size(), " epochs ended, expected ", b.epoch_end.size());
  for (std::size_t i = 0; i < a.epoch_end.size(); ++i) {
    rows("epoch_end", {a.epoch_end[i].first}, {b.epoch_end[i].first}, 2, 0.0);
    metrics(a.epoch_end[i].second, b.epoch_end[i].second);
  }
  metrics(a.metrics, b.metrics);
  if (a.outputs.size() != b.outputs.size()) differ("losses of ", a.outputs.size(), " batches, expected ", b.outputs.size());
  for (const auto& [at, loss] : b.outputs) {
    const auto found = a.outputs.find(at);
    if (found == a.outputs.end() || !(found->second == loss || std::abs(found->second - loss) <= tolerance)) {
      differ("another loss after epoch ", at.first, ", batch ", at.second, ", expected ", loss);
    }
  }
  if (ours.progress.global_step != theirs.progress.global_step)
    differ("global_step ", ours.progress.global_step, ", expected ", theirs.progress.global_step);
  if (ours.progress.epoch != theirs.progress.epoch) differ("epoch ", ours.progress.epoch, ", expected ", theirs.progress.epoch);
  if (ours.progress.skipped_steps != theirs.progress.skipped_steps) {
    differ(ours.progress.skipped_steps, " steps skipped, expected ", theirs.progress.skipped_steps);
  }
  for (const auto& [name, values] : theirs.parameters) {
    const auto found = ours.parameters.find(name);
    if (found == ours.parameters.end() || found->second.size() != values.size()) differ("no parameter is like ", name);
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (!(std::abs(found->second[i] - values[i]) <= tolerance))
        differ(name, '[', i, "]: differs by ", found->second[i] - values[i]);
    }
  }
  if (!hooks) return;
  for (std::size_t i = 0; i < std::max(a.events.size(), b.events.size()); ++i) {
    const std::string mine = i < a.events.size() ? a.events[i] : "the end",
                      yours = i < b.events.size() ? b.events[i] : "the end";
    if (mine != yours)
      differ("hook ", i, ": ", mine, ", expected ", yours, ", after ", i > 0 ? b.events[i - 1] : "the beginning");
  }
}

inline void require_same_parameters(const Outcome& ours, const Outcome& theirs, double tolerance) {
  require_parameters(ours, Json(theirs.parameters), tolerance);
}

/// A trace's rows of training steps and rates, in the epochs below `epochs`, and in this epoch in its first `batches`.
inline void require_prefix(const Json& file, const Outcome& ours, std::int64_t epochs, std::int64_t batches = 0) {
  const Json& rows = file.at("trace").at("training_steps");
  const Json& lrs = file.at("trace").at("training_step_lr");
  const double tolerance = tolerance_of(file);
  std::size_t compared = 0;
  for (; compared < rows.size(); ++compared) {
    const Json& row = rows.at(compared);
    if (row.at(0) >= epochs && !(row.at(0) == epochs && row.at(1) < batches)) break;
    require_rows("training_steps", {ours.record.training_steps.at(compared)}, Json::array({row}), 4, tolerance);
    const Json& lr = lrs.size() == 1 ? lrs.at(0) : lrs.at(compared);
    require_rows("training_step_lr", {ours.record.training_step_lr.at(compared)}, Json::array({lr}), 0, tolerance);
  }
  if (compared == 0) differ("no row of the trace is compared");
}

}  // namespace parity::golden
