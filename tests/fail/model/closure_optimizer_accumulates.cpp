// SPDX-License-Identifier: MIT
// EXPECT: optimizer that re-evaluates its closure \(LBFGS\) cannot accumulate
// EXPECT: See docs/errors/accumulate\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Evaluating : toy::Sgd {
  static constexpr bool needs_closure = true;
  void step(auto&& closure) { closure(); }
};

struct Model : toy::Model {
  auto configure_optimizers() { return Evaluating{{&weight}}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
}
