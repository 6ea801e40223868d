// SPDX-License-Identifier: MIT
// EXPECT: fg::Frozen needs automatic optimization
// EXPECT: See docs/errors/frozen\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_step(double, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}, fg::Frozen{}};
}
