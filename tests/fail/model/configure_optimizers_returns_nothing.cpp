// SPDX-License-Identifier: MIT
// EXPECT: configure_optimizers returns nothing: end it with `return fg::optimizer\(fg::AdamW\(parameters\(\), \{\.lr = 1e-3\}\)\);`
// EXPECT: See docs/errors/configure-optimizers-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  void configure_optimizers() {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
