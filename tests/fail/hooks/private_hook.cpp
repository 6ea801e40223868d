// SPDX-License-Identifier: MIT
// EXPECT: the hook on_train_epoch_end has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
 private:
  void on_train_epoch_end(auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
