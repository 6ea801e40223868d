// SPDX-License-Identifier: MIT
#include <fulgurite/loop/result.hpp>

namespace fg = fulgurite;

static_assert(!fg::StepResult<int>{}.loss && !fg::StepResult<int>{}.stepped && !fg::StepResult<int>{}.ends_epoch);
