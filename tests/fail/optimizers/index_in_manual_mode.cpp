// SPDX-License-Identifier: MIT
// EXPECT: training_step takes an fg::OptimizerIndex, which only automatic optimization with several optimizers
// EXPECT: See docs/errors/several-optimizers\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  void training_step(double, auto&, fg::OptimizerIndex<0>) {}
  void training_step(double, auto&, fg::OptimizerIndex<1>) {}
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, toy::Sgd{&b}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
