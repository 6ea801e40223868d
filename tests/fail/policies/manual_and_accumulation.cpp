// SPDX-License-Identifier: MIT
// EXPECT: ManualOptimization cannot go together with an accumulation policy
// EXPECT: See docs/errors/manual-optimization\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::Accumulate<2>{}};
  trainer.fit(toy::counting(3));
}
