// SPDX-License-Identifier: MIT
#include <fulgurite/policies/policy_set.hpp>

namespace fg = fulgurite;
using fg::detail::Compatible;

namespace {
static_assert(Compatible<fg::PolicySet<>>);
static_assert(Compatible<fg::PolicySet<fg::ClipNorm, fg::Accumulate<4>, fg::EveryStep>>);
static_assert(Compatible<fg::PolicySet<fg::ManualOptimization, fg::NoClipping, fg::NoAccumulation>>);
static_assert(!Compatible<fg::PolicySet<fg::ManualOptimization, fg::ClipNorm>>);
static_assert(!Compatible<fg::PolicySet<fg::ManualOptimization, fg::Fixed<fg::ClipNorm{}>>>);
static_assert(!Compatible<fg::PolicySet<fg::Accumulate<2>, fg::ManualOptimization>>);
static_assert(!Compatible<fg::PolicySet<fg::EveryBatch, fg::ManualOptimization>>);
}  // namespace
