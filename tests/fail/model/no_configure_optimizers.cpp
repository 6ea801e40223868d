// SPDX-License-Identifier: MIT
// EXPECT: the model has no configure_optimizers
// EXPECT: See docs/errors/no-configure-optimizers\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
