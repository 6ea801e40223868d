// SPDX-License-Identifier: MIT
// Whole trainings of PyTorch Lightning (golden/) through fg::Trainer. Each case's configuration becomes a
// model, policies and limits; the run must have the trace's losses, rates, steps, validations, hooks and
// parameters, or what we decided to have instead.
#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>

#include <iostream>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/golden_automatic.hpp"
#include "support/golden_case.hpp"
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

}  // namespace

TEST_CASE("the golden traces share data and first values") {
  CHECK_NOTHROW(require_shared());
}

TEST_CASE("trainings follow the golden traces") {
  std::map<std::string, std::vector<std::string>> names;
  for (const auto& path : json_files(folder() / "golden")) {
    const auto name = path.stem().string();
    if (name == "shared") continue;
    const Json& file = read_json(path);
    const auto missing = not_offered(file.at("config"));
    names[missing.empty() ? file.at("stance").get<std::string>() : "not offered yet"].push_back(
        name + (missing.empty() ? "" : " (" + missing + ")"));
    DYNAMIC_SECTION(name) {
      Runs runs;
      if (missing.empty()) CHECK_NOTHROW(require_trace(name, file, runs));
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
