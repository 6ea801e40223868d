// SPDX-License-Identifier: MIT
// Whole trainings of PyTorch Lightning (golden/) through fg::Trainer. Each case's configuration becomes a
// model, policies and limits; the run must have the trace's losses, rates, steps, validations, hooks and
// parameters, or what we decided to have instead.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <iostream>
#include <map>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "support/golden_automatic.hpp"
#include "support/golden_compare.hpp"
#include "support/golden_manual.hpp"
#include "support/golden_run.hpp"

namespace parity::golden {

namespace {

// --- what cannot be written, because it is refused when the program is compiled ----------------------------

using LbfgsMlp = Single<MlpNet, Shape{.reevaluates = true}>;
static_assert(fg::detail::trainer_works<LbfgsMlp>());
static_assert(!fg::detail::trainer_works<LbfgsMlp, fg::Accumulate<4>>());
static_assert(!fg::detail::trainer_works<LbfgsMlp, fg::AccumulateSchedule>());
static_assert(!fg::detail::trainer_works<LbfgsMlp, ScaledLoss>());

using Turns = Several<MlpNet, Shape{.optimizers = 2, .turns = true}>;
static_assert(fg::detail::trainer_works<Turns>());
static_assert(!fg::detail::trainer_works<Turns, fg::Accumulate<2>>());
static_assert(!fg::detail::trainer_works<Turns, fg::AccumulateSchedule>());

using ByHand = Manual<MlpNet, Shape{.manual = true}>;
static_assert(fg::detail::trainer_works<ByHand, fg::ManualOptimization>());
static_assert(!fg::detail::trainer_works<ByHand, fg::ManualOptimization, fg::Accumulate<4>>());
static_assert(!fg::detail::trainer_works<ByHand, fg::ManualOptimization, fg::ClipNorm>());

bool is_manual(const Json& config) {
  return config.at("mode").get<std::string>().starts_with("manual");
}

/// Whether a configuration cannot be compiled here.
bool is_refused(const Json& config) {
  if (has_lbfgs(config)) {
    return accumulates(config) || config.contains("scaler") ||
           config.value("program", "plain") == "skip_none";
  }
  if (config.contains("frequencies")) return accumulates(config);
  return is_manual(config) && (accumulates(config) || clipping_of(config).kind != AnyClip::Kind::none);
}

/// What of a configuration this library does not offer yet; empty if it offers all of it.
std::string not_offered(const Json& config) {
  static const std::set<std::string> missing{"weight_averaging", "max_time"};
  const Json trainer = trainer_of(config);
  for (const auto& [option, value] : trainer.items()) {
    if (missing.contains(option)) return option;
  }
  return {};
}

/// Everything that a configuration may say; what it says must be known, or the case fails.
void require_known(const Json& file) {
  static const std::set<std::string> known{
      "optimizers", "schedulers",          "trainer",     "mode",        "program", "every_n", "skip",
      "frozen",     "warmup_steps",        "val",         "ret",         "resume",  "log",     "logger",
      "grad_norm",  "stop_epoch_at_batch", "frequencies", "multi",       "dtype",   "n",       "scaler",
      "amp16",      "inf_batches",         "manual_clip", "manual_sched"};
  const Json& config = file.at("config");
  Arguments(config, known).done(file.at("name"));
  const bool is_gan = file.at("model") == "gan";
  if ((is_gan ? "gan" : "mlp") != file.at("model"))
    throw std::runtime_error("no model is known as " + file.at("model").dump());
  if (is_gan != config.at("mode").get<std::string>().ends_with("_gan"))
    throw std::runtime_error("a mode of another model");
  if (config.value("dtype", "float64") != file.at("dtype").get<std::string>()) throw std::runtime_error("two number formats");
}

/// Which optimizer of the GAN's closures comes first, and when the discriminator is trained, stands in its
/// trace only.
Json completed(const Json& file) {
  Json config = file.at("config");
  if (config.value("program", "") != "gan_closure") return config;
  const Json& rows = file.at("trace").at("training_steps");
  config["closures"] = {{"first", rows.at(0).at(2)}, {"even", rows.at(1).at(1) == 0}};
  return config;
}

}  // namespace

Outcome run_case(const Json& config) {
  const auto mode = config.at("mode").get<std::string>();
  const Json trainer = trainer_of(config);
  if (mode == "manual" || mode == "manual_gan") return run_manual(config);
  const bool has_precision =
      config.contains("scaler") || config.contains("amp16") || trainer.contains("precision");
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
  const bool bare =
      config.value("program", "plain") == "plain" && config.value("schedulers", Json::array()).empty();
  return bare && !has_lbfgs(config) ? run_policies(config) : run_single(config);
}

TEST_CASE("trainings follow the golden traces") {
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& path : json_files(folder() / "golden")) {
    if (path.stem() == "shared") continue;
    const Json& file = read_json(path);
    const auto stance = file.at("stance").get<std::string>();
    const auto missing = not_offered(file.at("config"));
    names[missing.empty() ? stance : "not offered yet"].push_back(
        path.stem().string() + (missing.empty() ? "" : " (" + missing + ")"));
    DYNAMIC_SECTION(path.stem().string()) {
      require_known(file);
      if (stance == "refuse") {
        CHECK(is_refused(file.at("config")));
      } else if (missing.empty()) {
        const Outcome outcome = run_case(completed(file));
        const std::string rule = stance == "match" ? "" : deviation(file, outcome);
        if (rule.empty()) {
          require_match(file, outcome);
        } else {
          INFO("in the form decided by " << rule);
          require_decided_form(file, outcome, rule);
        }
      }
    }
  }
  static bool printed = false;
  if (!std::exchange(printed, true)) {
    std::cout << "parity: golden traces:";
    for (const auto& [stance, cases] : names) std::cout << ' ' << stance << ' ' << cases.size();
    std::cout << '\n';
    for (const auto& name : names["not offered yet"]) std::cout << "  not offered yet: " << name << '\n';
  }
}

}  // namespace parity::golden
