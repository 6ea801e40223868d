// SPDX-License-Identifier: MIT
// EXPECT: fg::optimizer\(...\) was given something that is no optimizer
// EXPECT: See docs/errors/configure-optimizers-result\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model {
  toy::Weight weight;
  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return fg::optimizer(0.1).lr_scheduler(fg::StepLR{}).clip(fg::ClipNorm{}); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
}
