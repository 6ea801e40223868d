// SPDX-License-Identifier: MIT
// EXPECT: the clipping policy has a member `repeats` or `decides_on_host` that fg::Frozen would overlook
// EXPECT: See docs/errors/clipping-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Harsh {
  using slot = fg::slots::Clipping;
  static constexpr bool repeats = true;
  bool decides_on_host() { return true; }

  void clip(auto& gradients) const { gradients.clip_value(1.0); }
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Harsh{}};
}
