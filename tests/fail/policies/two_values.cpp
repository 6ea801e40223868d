// SPDX-License-Identifier: MIT
// EXPECT: was given two values of one type: keep one of them
// EXPECT: See docs/errors/two-policies-for-one-slot\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer<toy::Model, fg::ClipNorm> trainer{model, fg::ClipNorm{.max = 1.0}, fg::ClipNorm{.max = 2.0}};
}
