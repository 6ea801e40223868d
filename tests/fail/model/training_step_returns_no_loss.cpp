// SPDX-License-Identifier: MIT
// EXPECT: training_step must return a loss
// EXPECT: See docs/errors/training-step-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  double training_step(double batch, auto&) { return batch; }
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
