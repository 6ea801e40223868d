// SPDX-License-Identifier: MIT
#include <fulgurite/logging/number.hpp>

namespace fg = fulgurite;

static_assert(fg::Number(3).value() == 3.0);
static_assert(fg::Number(2.5f).value() == 2.5);
static_assert(fg::Number(true).value() == 1.0);
