// SPDX-License-Identifier: MIT
// EXPECT: fg::LearningRateMonitor writes to loggers, and the trainer has none
// EXPECT: See docs/errors/learning-rate-monitor\.md
#include <fulgurite/callbacks/learning_rate_monitor.hpp>

#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::LearningRateMonitor{}};
  trainer.fit(toy::counting(3));
}
