// SPDX-License-Identifier: MIT
// EXPECT: was given a temporary model
// EXPECT: See docs/errors/temporary-model\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  fg::Trainer trainer{toy::Model{}};
}
