// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers.hpp>

namespace fg = fulgurite;

static_assert(fg::Scheduler<fg::StepDecay> && fg::Scheduler<fg::CosineAnnealing> && !fg::Scheduler<int>);
static_assert(fg::MomentumScheduler<fg::OneCycle> && fg::MomentumScheduler<fg::CyclicSchedule>);
static_assert(!fg::MomentumScheduler<fg::StepDecay>);
static_assert(fg::MetricScheduler<fg::Plateau<"loss">> && !fg::PureScheduler<fg::Plateau<"loss">>);
static_assert(fg::Scheduler<fg::SequentialSchedule<fg::StepDecay, fg::OneCycle>>);
static_assert(fg::CompositeScheduler<fg::ChainedSchedules<fg::StepDecay>>);

// A value that is known when the program is compiled.
static_assert(fg::StepDecay{.step_size = 2, .gamma = 0.5}.lr({.step = 2, .base = 1.0, .current = 1.0}) == 0.5);
static_assert(fg::LinearWarmup{.steps = 4, .start_factor = 0.5}.lr({.step = 0, .base = 1.0, .current = 1.0}) == 0.5);

// A step 0 that nobody says more about is the one at which the schedule is attached.
static_assert(fg::RatePoint{.step = 0, .base = 1.0, .current = 1.0}.arrival == fg::Arrival::attached);
static_assert(fg::RatePoint{.step = 1, .base = 1.0, .current = 1.0}.arrival == fg::Arrival::advanced);
