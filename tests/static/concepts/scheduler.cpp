// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers.hpp>

namespace fg = fulgurite;

static_assert(fg::Scheduler<fg::StepLR> && fg::Scheduler<fg::CosineAnnealingLR> && !fg::Scheduler<int>);
static_assert(fg::MomentumScheduler<fg::OneCycleLR> && fg::MomentumScheduler<fg::CyclicLR>);
static_assert(!fg::MomentumScheduler<fg::StepLR>);
static_assert(fg::MetricScheduler<fg::ReduceLROnPlateau<"loss">> && !fg::PureScheduler<fg::ReduceLROnPlateau<"loss">>);
static_assert(fg::Scheduler<fg::SequentialLR<fg::StepLR, fg::OneCycleLR>>);
static_assert(fg::CompositeScheduler<fg::ChainedScheduler<fg::StepLR>>);

// A value that is known when the program is compiled.
static_assert(fg::StepLR{.step_size = 2, .gamma = 0.5}.lr({.step = 2, .base = 1.0, .current = 1.0}) == 0.5);
static_assert(fg::LinearWarmup{.steps = 4, .start_factor = 0.5}.lr({.step = 0, .base = 1.0, .current = 1.0}) == 0.5);

// A step 0 that nobody says more about is the one at which the schedule is attached.
static_assert(fg::RatePoint{.step = 0, .base = 1.0, .current = 1.0}.arrival == fg::Arrival::attached);
static_assert(fg::RatePoint{.step = 1, .base = 1.0, .current = 1.0}.arrival == fg::Arrival::advanced);
