// SPDX-License-Identifier: MIT
// EXPECT: fit was given a validation range, but the model has no validation_step
// EXPECT: See docs/errors/no-validation-step\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model};
  trainer.loop().validate(toy::counting(1));
}
