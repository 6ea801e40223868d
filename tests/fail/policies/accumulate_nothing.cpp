// SPDX-License-Identifier: MIT
// EXPECT: Accumulate<N> needs N >= 1
// EXPECT: See docs/errors/accumulate\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::Accumulate<0>{}};
}
