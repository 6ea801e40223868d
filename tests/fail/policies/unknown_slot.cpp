// SPDX-License-Identifier: MIT
// EXPECT: a policy for a slot that does not exist
// EXPECT: See docs/errors/no-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Strange {
  using slot = int;
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model, Strange{}};
}
