// SPDX-License-Identifier: MIT
// EXPECT: a callback with a hook that only a model has
// EXPECT: See docs/errors/callback-without-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Clipping {
  using slot = fg::slots::Callback;
  void on_fit_start(auto&) {}
  void configure_gradient_clipping(auto&, auto&) {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Clipping{}};
}
