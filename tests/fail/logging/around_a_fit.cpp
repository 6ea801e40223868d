// SPDX-License-Identifier: MIT
// EXPECT: nothing can be logged around a fit
// EXPECT: See docs/errors/log-outside\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  void on_fit_start(auto& run) { run.log("started", 1); }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
