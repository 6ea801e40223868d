// SPDX-License-Identifier: MIT
// EXPECT: is for several optimizers in automatic optimization
// EXPECT: See docs/errors/turns\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}).frequency(fg::Batches{2}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
