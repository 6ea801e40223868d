// SPDX-License-Identifier: MIT
// EXPECT: a member called training_epoch_end
// EXPECT: did you mean .on_train_epoch_end
// EXPECT: See docs/errors/misspelt-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void training_epoch_end(auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
