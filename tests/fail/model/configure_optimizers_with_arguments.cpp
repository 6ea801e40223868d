// SPDX-License-Identifier: MIT
// EXPECT: configure_optimizers has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers(double rate) { return fg::optimizer(toy::Sgd{&weight, rate}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
