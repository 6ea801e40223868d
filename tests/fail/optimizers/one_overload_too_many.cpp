// SPDX-License-Identifier: MIT
// EXPECT: there are more overloads
// EXPECT: See docs/errors/several-optimizers\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) { return toy::Loss{&a, batch}; }
  auto training_step(double batch, auto&, fg::OptimizerIndex<1>) { return toy::Loss{&b, batch}; }
  auto training_step(double batch, auto&, fg::OptimizerIndex<2>) { return toy::Loss{&b, batch}; }
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, toy::Sgd{&b}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
