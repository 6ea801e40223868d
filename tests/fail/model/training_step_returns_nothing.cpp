// SPDX-License-Identifier: MIT
// EXPECT: training_step returns nothing
// EXPECT: See docs/errors/training-step-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  void training_step(double, auto&) {}
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
