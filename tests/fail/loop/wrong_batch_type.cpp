// SPDX-License-Identifier: MIT
// EXPECT: training_step cannot take these batches
// EXPECT: See docs/errors/batch-type\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model};
  auto loop = trainer.loop();
  loop.step(toy::counting(3));
}
