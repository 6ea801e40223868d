// SPDX-License-Identifier: MIT
// EXPECT: a weighted loss needs an optimizer whose gradients can be scaled
// EXPECT: See docs/errors/training-step-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return fg::weighted(toy::Loss{&weight, batch}, 2); }
  auto configure_optimizers() { return toy::BareSgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
