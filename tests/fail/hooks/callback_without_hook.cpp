// SPDX-License-Identifier: MIT
// EXPECT: a callback without any hook
// EXPECT: See docs/errors/callback-without-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Watcher {
  using slot = fg::slots::Callback;
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Watcher{}};
}
