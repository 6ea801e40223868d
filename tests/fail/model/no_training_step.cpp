// SPDX-License-Identifier: MIT
// EXPECT: the model has no training_step
// EXPECT: See docs/errors/no-training-step\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
