// SPDX-License-Identifier: MIT
// EXPECT: \.frequency\(fg::Batches\{n\}\) is for several optimizers in automatic optimization
// EXPECT: See docs/errors/turns\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight a, b;
  void training_step(double, auto&) {}
  auto configure_optimizers() {
    return fg::optimizers(fg::optimizer(toy::Sgd{&a}).frequency(fg::Batches{1}),
                          fg::optimizer(toy::Sgd{&b}).frequency(fg::Batches{1}));
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ManualOptimization{}};
  trainer.fit(toy::counting(3));
}
