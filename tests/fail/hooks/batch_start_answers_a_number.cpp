// SPDX-License-Identifier: MIT
// EXPECT: on_train_batch_start must return nothing, or fg::EpochControl
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  int on_train_batch_start(double, auto&) { return -1; }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
