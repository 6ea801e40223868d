// SPDX-License-Identifier: MIT
// EXPECT: a precision policy needs tensors
// EXPECT: See docs/errors/precision\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::Bfloat16Mixed{}};
}
