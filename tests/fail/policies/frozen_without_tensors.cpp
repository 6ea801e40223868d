// SPDX-License-Identifier: MIT
// EXPECT: fg::Frozen needs tensors
// EXPECT: See docs/errors/frozen\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::Frozen{}};
}
