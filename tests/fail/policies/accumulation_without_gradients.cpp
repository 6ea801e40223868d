// SPDX-License-Identifier: MIT
// EXPECT: accumulation needs an optimizer whose gradients can be scaled
// EXPECT: See docs/errors/accumulate\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto configure_optimizers() { return toy::BareSgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::Accumulate<2>{}};
}
