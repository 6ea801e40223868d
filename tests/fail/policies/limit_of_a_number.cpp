// SPDX-License-Identifier: MIT
// EXPECT: fg::LimitBatches takes no bare number
// EXPECT: See docs/errors/limit-batches\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model, fg::LimitBatches{.train = 0.25}};
}
