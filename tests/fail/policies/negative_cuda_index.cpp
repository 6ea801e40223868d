// SPDX-License-Identifier: MIT
// EXPECT: Cuda<index> needs an index of 0 or more
// EXPECT: See docs/errors/device\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::Cuda<-1>{}};
}
