// SPDX-License-Identifier: MIT
// EXPECT: the clipping policy cannot clip this optimizer
// EXPECT: See docs/errors/clipping-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto configure_optimizers() { return toy::BareSgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::ClipNorm{}};
}
