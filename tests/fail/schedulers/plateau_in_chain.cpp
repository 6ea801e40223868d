// SPDX-License-Identifier: MIT
// EXPECT: holds schedules that follow no metric
// EXPECT: See docs/errors/plateau-in-sequence\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  toy::Sgd optimizer{&weight};
  auto schedule = fg::schedule(optimizer, fg::ChainedScheduler{fg::StepLR{}, fg::ReduceLROnPlateau<"val_loss">{}});
}
