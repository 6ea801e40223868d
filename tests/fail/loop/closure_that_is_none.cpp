// SPDX-License-Identifier: MIT
// EXPECT: optimizer\.step\(closure\) takes something callable without arguments
// EXPECT: See docs/errors/closure\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.step(1);
  }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
