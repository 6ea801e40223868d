// SPDX-License-Identifier: MIT
// EXPECT: training_step cannot take these batches
// EXPECT: See docs/errors/batch-type\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
