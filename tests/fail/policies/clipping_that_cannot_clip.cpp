// SPDX-License-Identifier: MIT
// EXPECT: the clipping policy cannot clip this optimizer
// EXPECT: See docs/errors/clipping-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Harsh {
  using slot = fg::slots::Clipping;
  void clip(int) const {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Harsh{}};
}
