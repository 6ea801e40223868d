// SPDX-License-Identifier: MIT
// The compiler's own error is the only one: the function's shape is right.
// EXPECT: undeclared_call
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto training_step(double batch, auto& step) {
    step.undeclared_call("batch", batch);
    return toy::Loss{&weight, batch};
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
