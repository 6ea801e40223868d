// SPDX-License-Identifier: MIT
// EXPECT: takes one schedule more than it has milestones
// EXPECT: See docs/errors/sequential-schedule\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  toy::Sgd optimizer{&weight};
  auto schedule = fg::schedule(
      optimizer, fg::SequentialLR{{10}, fg::LinearLR{}, fg::StepLR{}, fg::ExponentialLR{.gamma = 0.9}});
}
