// SPDX-License-Identifier: MIT
// EXPECT: fg::EarlyStopping needs the name of the metric that it follows
// EXPECT: See docs/errors/early-stopping-without-metric\.md
#include <fulgurite/core.hpp>

namespace fg = fulgurite;

int main() {
  fg::EarlyStopping<> stopping{.patience = 2};
  return stopping.patience > 0;
}
