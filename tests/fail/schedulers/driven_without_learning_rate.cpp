// SPDX-License-Identifier: MIT
// EXPECT: a schedule needs an optimizer with group_count
// EXPECT: See docs/errors/schedule-without-rate\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  toy::BareSgd optimizer{&weight};
  fg::schedule(optimizer, fg::StepLR{});
}
