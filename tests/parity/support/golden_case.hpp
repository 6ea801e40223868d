// SPDX-License-Identifier: MIT
// One golden trace: what its file must have, what is run for it, and whether it holds.
#pragma once

#include <map>
#include <string>

#include "golden_compare.hpp"
#include "golden_run.hpp"
#include "json.hpp"

namespace parity::golden {

/// The runs of the case that is looked at, so that a trace of which a number is altered is not trained anew.
class Runs {
 public:
  const Outcome& trainer(const Json& config);
  const Outcome& plain_loop(const Json& config, Rules rules, const std::string& version);

 private:
  std::map<std::string, Outcome> outcomes_;
};

/// What of a configuration this library does not offer yet; empty if it offers all of it.
std::string not_offered(const Json& config);

/// Throws if shared.json, the data and first values of all traces, lacks something, has something unknown, or sizes that are
/// not so.
void require_shared();

/// Throws if a trace of that name lacks something, has something unknown, or is not what the trainer and the plain loop do.
void require_trace(const std::string& name, const Json& file, Runs& runs);

}  // namespace parity::golden
