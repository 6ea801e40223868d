// SPDX-License-Identifier: MIT
// EXPECT: the hook validation_step has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void validation_step(const toy::Range&, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3), toy::counting(3));
}
