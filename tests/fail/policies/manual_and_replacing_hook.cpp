// SPDX-License-Identifier: MIT
// EXPECT: ManualOptimization never calls the hooks optimizer_step, optimizer_zero_grad
// EXPECT: See docs/errors/manual-optimization\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
  void optimizer_zero_grad(auto&, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
