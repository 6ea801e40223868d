// SPDX-License-Identifier: MIT
// EXPECT: an optimizer that re-evaluates its closure \(LBFGS\) cannot skip a batch: use fg::StopOnNonFinite
// EXPECT: See docs/errors/training-step-result\.md
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
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::SkipNonFinite{}};
}
