// SPDX-License-Identifier: MIT
// EXPECT: training_step takes an fg::OptimizerIndex, which only automatic optimization with several optimizers
// EXPECT: See docs/errors/several-optimizers\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
