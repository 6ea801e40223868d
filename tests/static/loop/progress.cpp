// SPDX-License-Identifier: MIT
#include <fulgurite/loop/progress.hpp>

namespace fg = fulgurite;

static_assert(fg::Progress{} == fg::Progress());
static_assert(!([] {
  fg::Progress progress;
  progress.batches = 1;
  return progress;
}() == fg::Progress{}));
