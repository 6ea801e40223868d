// SPDX-License-Identifier: MIT
// EXPECT: takes one schedule more than it has milestones
// EXPECT: See docs/errors/sequential-schedule\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  toy::Sgd optimizer{&weight};
  auto schedule = fg::schedule(
      optimizer, fg::SequentialSchedule{{10}, fg::LinearSchedule{}, fg::StepDecay{}, fg::ExponentialDecay{.gamma = 0.9}});
}
