// SPDX-License-Identifier: MIT
// EXPECT: the model has no validation_step
// EXPECT: See docs/errors/no-validation-step\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3), toy::counting(3));
}
