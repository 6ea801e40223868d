// SPDX-License-Identifier: MIT
// EXPECT: ManualOptimization cannot go together with a schedule's own interval
// EXPECT: See docs/errors/manual-optimization\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::StepLR{}, fg::EveryStep{}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
