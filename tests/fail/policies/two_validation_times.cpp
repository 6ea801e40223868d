// SPDX-License-Identifier: MIT
// EXPECT: two policies for one slot
// EXPECT: See docs/errors/two-policies-for-one-slot\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::ValidateEvery{}, fg::ValidateAcrossEpochs{.batches = 10}};
}
