// SPDX-License-Identifier: MIT
// EXPECT: lr_scheduler\(schedule\) was given something that is no schedule
// EXPECT: See docs/errors/lr-scheduler\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).lr_scheduler(0.1); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
}
