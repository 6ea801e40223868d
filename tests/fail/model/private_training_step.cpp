// SPDX-License-Identifier: MIT
// EXPECT: training_step cannot take these batches
// EXPECT: See docs/errors/batch-type\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

class Model {
 public:
  toy::Weight weight;
  auto configure_optimizers() { return fg::optimizer(toy::Sgd{&weight}); }

 private:
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
