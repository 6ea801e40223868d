// SPDX-License-Identifier: MIT
// EXPECT: step\.lr_schedulers\(\) needs a schedule
// EXPECT: See docs/errors/no-schedule\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto& step) { step.lr_schedulers(); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
