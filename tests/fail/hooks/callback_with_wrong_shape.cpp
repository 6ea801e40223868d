// SPDX-License-Identifier: MIT
// EXPECT: the hook on_fit_start has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Watcher {
  using slot = fg::slots::Callback;
  void on_fit_start() {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Watcher{}};
  trainer.fit(toy::counting(3));
}
