// SPDX-License-Identifier: MIT
// EXPECT: cannot skip a batch
// EXPECT: See docs/errors/training-step-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Evaluating : toy::Sgd {
  static constexpr bool needs_closure = true;
  void step(auto&& closure) { closure(); }
};

struct Model {
  toy::Weight weight;
  std::optional<toy::Loss> training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return Evaluating{{&weight}}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
