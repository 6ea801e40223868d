// SPDX-License-Identifier: MIT
// EXPECT: does not model the concept of its slot
// EXPECT: See docs/errors/policy-concept\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Forgetful {
  using slot = fg::slots::Accumulation;
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Forgetful{}};
}
