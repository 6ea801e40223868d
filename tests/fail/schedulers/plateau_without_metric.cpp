// SPDX-License-Identifier: MIT
// EXPECT: fg::ReduceLROnPlateau needs the name of the metric that it follows
// EXPECT: See docs/errors/plateau-without-metric\.md
#include <fulgurite/schedulers.hpp>

namespace fg = fulgurite;

int main() {
  fg::ReduceLROnPlateau<> schedule{.factor = 0.5};
  return schedule.patience > 0;
}
