// SPDX-License-Identifier: MIT
#include <fulgurite/policies/execution.hpp>

#include "support/problems.hpp"

namespace fg = fulgurite;

static_assert(fg::ExecutionPolicy<fg::Eager> && fg::ExecutionPolicy<fg::Frozen> && !fg::ExecutionPolicy<int>);
static_assert(!fg::Eager::freezes && fg::Frozen::freezes);
static_assert(fg::Frozen{.tapes = 1}.problem() == nullptr);
static_assert(support::problem_of(fg::Frozen{.tapes = 0}) == "Frozen.tapes must be 1 or more");
static_assert(fg::Frozen{} == fg::Frozen{.strict = false, .tapes = 8} && !(fg::Frozen{} == fg::Frozen{.strict = true}));
