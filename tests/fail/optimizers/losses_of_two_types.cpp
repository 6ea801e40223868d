// SPDX-License-Identifier: MIT
// EXPECT: all training_step overloads of a model must return the same type of loss
// EXPECT: See docs/errors/training-step-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct OtherLoss : toy::Loss {};

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, auto index) {
    if constexpr (index == 0) {
      return toy::Loss{&a, batch};
    } else {
      return OtherLoss{{&b, batch}};
    }
  }
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, toy::Sgd{&b}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
