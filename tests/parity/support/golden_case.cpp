// SPDX-License-Identifier: MIT
// What must hold of a golden trace: its file has every part and no other, the plain loop with Lightning's rules has each of its
// numbers and words, and the trainer has them too, or what the plain loop has by the rules that we decided on.
#include "golden_case.hpp"

#include <torch/torch.h>

#include <algorithm>
#include <filesystem>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>

#include "golden_nets.hpp"

namespace parity::golden {

namespace {

bool is_manual(const Json& config) {
  return config.at("mode").get<std::string>().starts_with("manual");
}

/// Whether a configuration cannot be compiled here (golden.test.cpp proves it).
bool is_refused(const Json& config) {
  if (has_lbfgs(config))
    return accumulates(config) || config.contains("scaler") || config.value("program", "plain") == "skip_none";
  if (config.contains("frequencies")) return accumulates(config);
  return is_manual(config) && (accumulates(config) || clipping_of(config).kind != AnyClip::Kind::none);
}

/// Which optimizer of the GAN's closures comes first, and when the discriminator is trained, stands in its trace only.
Json completed(const Json& file) {
  Json config = file.at("config");
  if (config.value("program", "") != "gan_closure") return config;
  const Json& rows = file.at("trace").at("training_steps");
  config["closures"] = {{"first", rows.at(0).at(2)}, {"even", rows.at(1).at(1) == 0}};
  return config;
}

// --- the file -----------------------------------------------------------------------------------------------

/// An object has these parts and no others.
void require_parts(const std::string& what, const Json& object, const std::set<std::string>& needed,
                   const std::set<std::string>& possible = {}) {
  if (!object.is_object()) differ(what, " is no object");
  for (const auto& name : needed) {
    if (!object.contains(name)) differ(what, " has no ", name);
  }
  for (const auto& [name, value] : object.items()) {
    if (!needed.contains(name) && !possible.contains(name)) differ(what, ": nothing is known about ", name);
  }
}

void require_value(const std::string& what, const Json& value, const Json& expected) {
  if (value != expected) differ(what, " is ", value, ", expected ", expected);
}

void require_config(const Json& file) {
  static const std::set<std::string> known{
      "optimizers", "schedulers",          "trainer",     "mode",        "program", "every_n", "skip",
      "frozen",     "warmup_steps",        "val",         "ret",         "resume",  "log",     "logger",
      "grad_norm",  "stop_epoch_at_batch", "frequencies", "multi",       "dtype",   "n",       "scaler",
      "amp16",      "inf_batches",         "manual_clip", "manual_sched"};
  const Json& config = file.at("config");
  require_parts("config", config, {"optimizers", "mode"}, known);
  const auto mode = config.at("mode").get<std::string>();
  require_value("model", file.at("model"), mode.ends_with("_gan") ? "gan" : "mlp");
  require_value("dtype", file.at("dtype"), config.value("dtype", Json("float64")));
  // What says nothing that the rest of the configuration does not.
  require_value("multi", config.value("multi", Json()), mode == "auto_multi" || mode == "auto_gan" ? Json(true) : Json());
  for (const Json& schedule : config.value("schedulers", Json::array())) {  // manual optimization looks at no interval
    const auto interval = schedule.value("interval", "epoch");
    if (interval != "epoch" && interval != "step") differ("no interval is known as ", interval);
  }
  for (const Json& plan : config.value("manual_sched", Json::array())) {
    static const std::regex known_plan("step|epoch_end_metric|(batch|epoch)%[1-9][0-9]*");
    if (!std::regex_match(plan.get<std::string>(), known_plan)) differ("no plan of a schedule is known as ", plan);
  }
  if (config.contains("every_n")) require_value("every_n's size", config.at("every_n").size(), config.at("optimizers").size());
  if (config.contains("skip")) require_value("skip's size", config.at("skip").size(), 2);
  if (config.contains("ret")) require_value("ret", config.at("ret"), "dict");
  if (config.contains("log")) require_value("log", config.at("log"), "many");
  if (config.contains("logger")) require_value("logger", config.at("logger"), true);
}

/// The data and first values that all traces share: no part more, none less, and its sizes are those that it says.
template <class Net>
void require_first_values(const Json& init, const Json& shapes) {
  const Net net;
  std::set<std::string> names;
  for (const auto& parameter : net.named_parameters()) names.insert(parameter.key());
  require_parts("init", init, names);
  require_parts("init_shapes", shapes, names);
  for (const auto& parameter : net.named_parameters())
    require_value(parameter.key(), shapes.at(parameter.key()), parameter->sizes().vec());
}
void require_file(const std::string& name, const Json& file) {
  static const std::set<std::string> stances{"match", "deviate", "choose", "refuse"};
  require_parts("the file", file, {"name", "engine", "model", "dtype", "stance", "config", "trace"},
                {"amplification", "quirk", "same_final_params_as"});
  require_value("name", file.at("name"), name);
  if (!stances.contains(file.at("stance").get<std::string>())) differ("no stance is known as ", file.at("stance"));
  require_config(file);
  const Json& config = file.at("config");
  const bool v1 = config.contains("multi") || name.starts_with("v1_");
  require_value("engine", file.at("engine"), {{"lightning", v1 ? "1.9.5" : "2.6.6"}, {"torch", "2.11.0"}});
  if (file.at("dtype") == "float64" && !(number(file.at("amplification")) >= 0.0)) differ("amplification is no number above 0");
  // Where we do otherwise, or chose to do the same, the file says from what or as what.
  if (file.at("stance") != "match" && file.value("quirk", Json()).is_null()) differ("no quirk is named");
  if (file.contains("quirk") && !(file.at("quirk").is_null() || file.at("quirk").is_string()))
    differ("a quirk that is no text");

  const Json& trace = file.at("trace");
  require_parts("trace", trace,
                {"training_steps", "training_step_lr", "optimizer_steps", "batch_end", "scheduler_steps", "validation",
                 "epoch_end", "hooks", "counts", "final"},
                {"extra", "logged", "scaler"});
  require_parts("hooks", trace.at("hooks"), {"first_window", "after_last_batch"}, {"last_batch_of_epoch0_to_first_of_epoch1"});
  require_parts("counts", trace.at("counts"),
                {"training_step", "optimizer_step", "scheduler_step", "backward", "zero_grad", "on_before_optimizer_step",
                 "validation_step"});
  require_value("counts of optimizers", trace.at("counts").at("optimizer_step").size(), config.at("optimizers").size());
  require_value("counts of schedules", trace.at("counts").at("scheduler_step").size(),
                config.value("schedulers", Json::array()).size());
  require_parts("final", trace.at("final"), {"global_step", "current_epoch", "lr", "callback_metrics", "params"});
  require_value("logged", trace.contains("logged"), config.contains("logger"));
  require_value("scaler", trace.contains("scaler"), config.contains("scaler") || config.contains("amp16"));

  const Json extra = trace.value("extra", Json::object());
  std::set<std::string> parts;
  if (config.at("mode") == "auto" && !v1) parts.insert("outputs_loss");
  if (config.contains("grad_norm")) parts.insert("grad_norm");
  if (config.contains("resume")) parts.insert({"checkpoint_keys", "checkpoint_epoch_gs", "resume_at_row"});
  require_parts("extra", extra, parts, {"outputs_loss"});
  if (trace.contains("extra") && extra.empty()) differ("extra is empty");
}

/// Where the first part of a run that is resumed ended, and what Lightning's file has.
void require_checkpoint(const Json& file, const Outcome& theirs) {
  const Json& extra = file.at("trace").at("extra");
  std::set<std::string> keys{
      "callbacks", "epoch", "global_step", "loops", "lr_schedulers", "optimizer_states", "pytorch-lightning_version",
      "state_dict"};
  if (file.at("config").contains("scaler")) keys.insert("MixedPrecision");
  require_value("checkpoint_keys", extra.at("checkpoint_keys"), Json(keys));
  const Json& resume = file.at("config").at("resume");
  if (!resume.value("checkpoint", Json::object()).empty()) return;
  const auto epochs = resume.value("first", Json::object()).value("max_epochs", std::int64_t{3});
  const auto end = theirs.record.epoch_end.at(static_cast<std::size_t>(epochs - 1)).first;
  require_value("checkpoint_epoch_gs", extra.at("checkpoint_epoch_gs"), {epochs - 1, static_cast<std::int64_t>(*end.at(1))});
  const auto rows = std::count_if(theirs.record.training_steps.begin(), theirs.record.training_steps.end(),
                                  [&](const Row& row) { return *row[0] < static_cast<double>(epochs); });
  require_value("resume_at_row", extra.at("resume_at_row"), rows);
}

/// A case of which this one has, or should have, the final parameters.
void require_same_as_other(const Json& file, const Outcome& ours) {
  // Traces that are named by others, and not kept here.
  static const std::set<std::string> not_kept{"ckpt_epoch_resume_plain", "opt_adam"};
  const Json other = file.value("same_final_params_as", Json());
  if (other.is_null()) return;
  const auto name = other.get<std::string>();
  const auto path = folder() / "golden" / (name + ".json");
  if (!std::filesystem::exists(path)) {
    if (!not_kept.contains(name)) differ("there is no trace ", name);
    return;
  }
  const Json& reference = read_json(path);
  const double tolerance = std::max(tolerance_of(file), tolerance_of(reference));
  require_parameters(ours, reference.at("trace").at("final").at("params"), tolerance);
}

// --- who has it --------------------------------------------------------------------------------------------

/// Rules of Lightning's that no trace here shows, so that the plain loop's are not proven: what they change is not compared.
bool is_unproven(const Json& config, const std::set<std::string>& rules) {
  static const std::set<std::string> proven{"S11", "S32", "S51"};
  static const std::set<std::string> programs{"closure_first", "own_optimizer", "clip_own", "gan_closure"};
  const bool by_rule = std::any_of(rules.begin(), rules.end(), [](const std::string& rule) { return !proven.contains(rule); });
  const bool scaled_otherwise = config.contains("scaler") && (is_manual(config) || config.at("optimizers").size() > 1);
  return by_rule || scaled_otherwise || config.contains("amp16") || programs.contains(config.value("program", "plain"));
}

/// What a configuration is for the plain loop: a callback that averages weights calls no hooks.
Json without_averages(Json config) {
  if (!config.contains("trainer")) return config;
  config["trainer"].erase("swa");
  config["trainer"].erase("ema");
  return config;
}

void require_decided_form(const Json& file, const Json& config, const std::set<std::string>& rules, const Outcome& ours,
                          Runs& runs) {
  const bool saves_within_epochs =
      config.contains("resume") && !config.at("resume").value("checkpoint", Json::object()).empty();
  require_same_run(ours, runs.plain_loop(config, Rules::ours, file.at("engine").at("lightning")), tolerance_of(file),
                   !saves_within_epochs);
  if (rules.contains("S112") || rules.contains("S114")) {  // up to where the run was interrupted
    const Json& row =
        file.at("trace").at("training_steps").at(file.at("trace").at("extra").at("resume_at_row").get<std::size_t>() - 1);
    require_prefix(file, ours, row.at(0), row.at(1).get<std::int64_t>() + 1);
  } else if (rules == std::set<std::string>{"S52"}) {
    require_match(file, ours, {.loss_scale = false});  // powers of two change no number
  } else if (rules.contains("S48") || rules.contains("S52") || rules.contains("S76")) {
    require_prefix(file, ours, 0, 1);
  } else if (rules.contains("S64") || rules.contains("S65")) {
    require_prefix(file, ours, 1);
  }
}

}  // namespace

const Outcome& Runs::trainer(const Json& config) {
  const auto key = "trainer" + config.dump();
  if (const auto found = outcomes_.find(key); found != outcomes_.end()) return found->second;
  return outcomes_[key] = run_case(config);
}

const Outcome& Runs::plain_loop(const Json& config, Rules rules, const std::string& version) {
  const auto key = (rules == Rules::ours ? "ours" : "lightning") + version + config.dump();
  if (const auto found = outcomes_.find(key); found != outcomes_.end()) return found->second;
  return outcomes_[key] = reference_run(config, rules, version);
}

std::string not_offered(const Json& config) {
  static const std::set<std::string> missing{"weight_averaging", "max_time"};
  const Json trainer = trainer_of(config);
  for (const auto& [option, value] : trainer.items()) {
    if (missing.contains(option)) return option;
  }
  return {};
}

void require_shared() {
  const Json& file = shared();
  require_parts("shared.json", file, {"data", "shapes", "init", "init_shapes", "batch_size", "batches", "val_samples"});
  const std::set<std::string> names{"x_train", "y_train", "z_train", "x_val", "y_val"};
  require_parts("data", file.at("data"), names);
  require_parts("shapes", file.at("shapes"), names);
  require_parts("init", file.at("init"), {"gan", "mlp"});
  require_parts("init_shapes", file.at("init_shapes"), {"gan", "mlp"});
  require_first_values<MlpNet>(file.at("init").at("mlp"), file.at("init_shapes").at("mlp"));
  require_first_values<GanNet>(file.at("init").at("gan"), file.at("init_shapes").at("gan"));
  require_value("batch_size", file.at("batch_size"), 10);
  require_value("batches", file.at("batches"), file.at("shapes").at("x_train").at(0).get<int>() / 10);
  require_value("val_samples", file.at("val_samples"), file.at("shapes").at("x_val").at(0));
}

void require_trace(const std::string& name, const Json& file, Runs& runs) {
  require_file(name, file);
  const Json config = completed(file);
  const std::string version = file.at("engine").at("lightning");
  const bool refused = file.at("stance") == "refuse";
  require_value("refused", refused, is_refused(config));

  const Outcome* ours = nullptr;
  std::set<std::string> rules;
  if (!refused) {
    ours = &runs.trainer(config);
    rules = deviations(file, *ours);
    if (file.at("stance") == "match") rules.clear();
  }
  // Of a configuration that cannot be compiled only the plain loop shows that its trace is right.
  if (refused && !reference_knows(config)) differ("nothing knows this configuration");
  if (const Json plain = without_averages(config); reference_knows(plain) && !is_unproven(config, rules)) {
    const Outcome& theirs = runs.plain_loop(plain, Rules::lightning, version);
    if (plain == config) {
      require_match(file, theirs, {.words = Words::all, .logs = false});
      if (config.contains("resume")) require_checkpoint(file, theirs);
    } else {
      require_hooks(theirs.record, file.at("trace").at("hooks"), config, Words::all);
    }
  }
  if (refused) return;
  if (rules.empty()) {
    require_match(file, *ours, {.searches = has_lbfgs(config) && config.at("optimizers").size() == 1});
  } else {
    require_decided_form(file, config, rules, *ours, runs);
  }
  require_same_as_other(file, *ours);
}

Outcome run_case(const Json& config) {
  const auto mode = config.at("mode").get<std::string>();
  const Json trainer = trainer_of(config);
  if (mode == "manual" || mode == "manual_gan") return run_manual(config);
  const bool has_precision = config.contains("scaler") || config.contains("amp16") || trainer.contains("precision");
  const bool has_averages = trainer.contains("swa") || trainer.contains("ema");
  if (mode == "auto_multi" || mode == "auto_gan") {
    if (has_precision || has_averages)
      throw std::runtime_error("several optimizers with a precision or averages are not known");
    return config.contains("frequencies") ? run_turns(config) : run_several(config);
  }
  if (mode != "auto") throw std::runtime_error("no mode is known as " + mode);
  if (has_precision && has_averages) throw std::runtime_error("averages with a precision are not known");
  if (has_precision) return run_precision(config);
  if (has_averages) return run_averages(config);
  const bool bare = config.value("program", "plain") == "plain" && config.value("schedulers", Json::array()).empty();
  return bare && !has_lbfgs(config) ? run_policies(config) : run_single(config);
}

}  // namespace parity::golden
