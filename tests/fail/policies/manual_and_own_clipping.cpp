// SPDX-License-Identifier: MIT
// EXPECT: ManualOptimization cannot go together with an optimizer's own clipping policy
// EXPECT: See docs/errors/manual-optimization\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).clip(fg::ClipNorm{}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
