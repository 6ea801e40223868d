// SPDX-License-Identifier: MIT
// EXPECT: has a member called on_epoch_end, which is no hook: did you mean `on_train_epoch_end`
// EXPECT: See docs/errors/misspelt-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Late {
  using slot = fg::slots::Callback;
  void on_fit_start(auto&) {}
  void on_epoch_end(auto&) {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Late{}};
}
