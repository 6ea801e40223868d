// SPDX-License-Identifier: MIT
// EXPECT: something that is no policy
// EXPECT: See docs/errors/no-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, 0.5};  // gradient_clip_val=0.5
}
