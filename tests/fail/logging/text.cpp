// SPDX-License-Identifier: MIT
// EXPECT: step.log takes a number or a tensor with one element
// EXPECT: See docs/errors/log-value\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  auto training_step(double batch, auto& step) {
    step.log_dict({{"batch", "large"}});
    return toy::Loss{&weight, batch};
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
