// SPDX-License-Identifier: MIT
// EXPECT: Fixed was given a policy whose values make no sense
// EXPECT: See docs/errors/policy-value\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer<toy::Model, fg::Fixed<fg::EveryStep{.frequency = 0}>> trainer{model};
}
