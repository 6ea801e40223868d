// SPDX-License-Identifier: MIT
// EXPECT: some optimizers take turns and some do not
// EXPECT: See docs/errors/turns\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &a : &b, batch}; }
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&a}).frequency(fg::Batches{1}), fg::optimizer(toy::Sgd{&b}));
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
