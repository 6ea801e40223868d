// SPDX-License-Identifier: MIT
// EXPECT: step\.manual_backward is for manual optimization
// EXPECT: See docs/errors/manual-backward\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto training_step(double batch, auto& step) {
    toy::Loss loss{&weight, batch};
    step.manual_backward(loss);
    return loss;
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
