// SPDX-License-Identifier: MIT
// EXPECT: optimizer\.step\(closure\) takes something callable without arguments
// EXPECT: See docs/errors/closure\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void optimizer_step(auto& optimizer, auto&& closure, auto&) {
    closure();
    optimizer.step([](int) {});
  }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
