// SPDX-License-Identifier: MIT
#include <fulgurite/policies/clipping.hpp>
#include <fulgurite/policies/policy.hpp>

namespace fg = fulgurite;

namespace {
struct NoSlot {};

static_assert(fg::Policy<fg::ClipNorm> && fg::Policy<fg::Fixed<fg::ClipNorm{.max = 0.5}>>);
static_assert(!fg::Policy<int> && !fg::Policy<NoSlot>);
static_assert(fg::PolicyFor<fg::ClipValue, fg::slots::Clipping> && !fg::PolicyFor<fg::ClipValue, int>);
static_assert(fg::SelfChecking<fg::ClipNorm> && !fg::SelfChecking<fg::NoClipping>);
static_assert(fg::value_of(fg::ClipNorm{.max = 3.0}).max == 3.0);
static_assert(fg::value_of(fg::Fixed<fg::ClipNorm{.max = 0.5}>{}).max == 0.5);
}  // namespace
