// SPDX-License-Identifier: MIT
// EXPECT: the hook optimizer_step has the wrong shape
// EXPECT: See docs/errors/hook-shape\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void optimizer_step(auto& optimizer) { optimizer.step(); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
