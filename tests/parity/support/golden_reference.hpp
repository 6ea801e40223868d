// SPDX-License-Identifier: MIT
// A plain loop that trains a golden trace's configuration without the library's trainer: what a run is compared with where it
// must not be as its trace, and what shows that each number and each word of a trace is the one that its configuration gives.
#pragma once

#include "golden_run.hpp"
#include "json.hpp"

namespace parity::golden {

/// Whose rules the plain loop follows where they differ.
enum class Rules {
  lightning,  ///< those of the version that made the trace, its faults and its own words among the hooks included
  ours        ///< those decided on: S11, S32, S48, S51, S52, S64, S76, S84, S112, S114
};

/// Whether the plain loop can train a configuration.
bool reference_knows(const Json& config);

/// Trains it. `version`: Lightning's. A run that is interrupted and resumed is trained without the interruption.
Outcome reference_run(const Json& config, Rules rules, const std::string& version = "2.6.6");

}  // namespace parity::golden
