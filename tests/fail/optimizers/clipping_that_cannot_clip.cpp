// SPDX-License-Identifier: MIT
// EXPECT: the clipping policy cannot clip this optimizer
// EXPECT: See docs/errors/clipping-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &a : &b, batch}; }
  auto configure_optimizers() {
    return fg::optimizers(toy::Sgd{&a}, fg::optimizer(toy::BareSgd{&b}).clip(fg::ClipNorm{.max = 1.0}));
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
