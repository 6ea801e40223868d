// SPDX-License-Identifier: MIT
// EXPECT: step\.clip_gradients\(optimizer, policy\) takes a policy that can clip
// EXPECT: See docs/errors/clipping-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  void configure_gradient_clipping(auto& optimizer, auto& step) { step.clip_gradients(optimizer, 0.5); }
  auto configure_optimizers() { return toy::Sgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
