// SPDX-License-Identifier: MIT
// EXPECT: the hook log_metrics has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Logger {
  using slot = fg::slots::Callback;
  void log_metrics(const fg::MetricsRow&, int /*step*/) {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Logger{}};
  trainer.fit(toy::counting(3));
}
