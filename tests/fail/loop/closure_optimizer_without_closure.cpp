// SPDX-License-Identifier: MIT
// EXPECT: this optimizer evaluates the loss several times a step \(LBFGS\): call optimizer\.step\(closure\)
// EXPECT: See docs/errors/closure\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Evaluating : toy::Sgd {
  static constexpr bool needs_closure = true;
  template <class Closure>
  void step(Closure&& closure) {
    closure();
    toy::Sgd::step();
  }
};

struct Model : toy::Model {
  auto configure_optimizers() { return Evaluating{{&weight}}; }
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.step();
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
