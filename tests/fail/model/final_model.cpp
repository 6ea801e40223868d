// SPDX-License-Identifier: MIT
// EXPECT: must be a class that is not final
// EXPECT: See docs/errors/final-model\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model final {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
