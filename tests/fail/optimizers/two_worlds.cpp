// SPDX-License-Identifier: MIT
// EXPECT: optimizers on tensors beside optimizers on plain types
// EXPECT: See docs/errors/several-optimizers\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Elsewhere : toy::Sgd {
  template <class Precision>
  struct backend : fg::PlainBackend {
    using fg::PlainBackend::PlainBackend;
  };
};

struct Model {
  toy::Weight a, b;
  auto training_step(double batch, auto&, auto index) { return toy::Loss{index == 0 ? &a : &b, batch}; }
  auto configure_optimizers() { return fg::optimizers(toy::Sgd{&a}, Elsewhere{{&b}}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
