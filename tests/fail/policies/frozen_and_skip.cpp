// SPDX-License-Identifier: MIT
// EXPECT: too late for fg::SkipNonFinite
// EXPECT: See docs/errors/frozen\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::Frozen{}, fg::SkipNonFinite{}};
}
