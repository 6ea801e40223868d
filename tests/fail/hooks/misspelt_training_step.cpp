// SPDX-License-Identifier: MIT
// EXPECT: has a member called train_step, which is no hook: did you mean `training_step`
// EXPECT: See docs/errors/misspelt-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto train_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
}
