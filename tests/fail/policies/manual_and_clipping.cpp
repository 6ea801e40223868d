// SPDX-License-Identifier: MIT
// EXPECT: ManualOptimization cannot go together with a clipping policy
// EXPECT: See docs/errors/manual-optimization\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::ClipNorm{}};
  trainer.fit(toy::counting(3));
}
