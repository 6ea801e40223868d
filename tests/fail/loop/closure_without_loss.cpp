// SPDX-License-Identifier: MIT
// EXPECT: the closure that it is given must return it
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
  void training_step(double batch, auto& step) {
    step.optimizers().step([&] { step.manual_backward(toy::Loss{&weight, batch}); });
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
