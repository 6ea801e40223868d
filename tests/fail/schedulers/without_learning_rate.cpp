// SPDX-License-Identifier: MIT
// EXPECT: a schedule needs an optimizer with group_count
// EXPECT: See docs/errors/schedule-without-rate\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  auto configured = fg::optimizer(toy::BareSgd{&weight}).lr_scheduler(fg::OneCycleLR{.max_lr = 0.1, .total_steps = 10});
}
