// SPDX-License-Identifier: MIT
// EXPECT: holds schedules that follow no metric
// EXPECT: See docs/errors/plateau-in-sequence\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Weight weight;
  auto configured =
      fg::optimizer(toy::Sgd{&weight}).lr_scheduler(fg::LinearWarmup{.steps = 5}.then(fg::ReduceLROnPlateau<"val_loss">{.factor = 0.5}));
}
