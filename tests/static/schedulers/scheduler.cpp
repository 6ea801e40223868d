// SPDX-License-Identifier: MIT
#include <fulgurite/schedulers.hpp>

namespace fg = fulgurite;

static_assert(fg::Scheduler<fg::StepDecay> && fg::Scheduler<fg::CosineAnnealing> && !fg::Scheduler<int>);
static_assert(fg::MomentumScheduler<fg::OneCycle> && !fg::MomentumScheduler<fg::StepDecay>);
