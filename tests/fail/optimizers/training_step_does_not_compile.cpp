// SPDX-License-Identifier: MIT
// The compiler's own error is the only one: there is an overload for each optimizer.
// EXPECT: undeclared_call
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, fg::OptimizerIndex<0>) { return toy::Loss{&a, batch}; }
  auto training_step(double batch, auto& step, fg::OptimizerIndex<1>) {
    step.undeclared_call("batch", batch);
    return toy::Loss{&b, batch};
  }
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, toy::Sgd{&b}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
