// SPDX-License-Identifier: MIT
// The compiler's own errors are the only ones: the function's shape is right.
// EXPECT: undeclared_schedule
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(undeclared_schedule); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
