// SPDX-License-Identifier: MIT
// EXPECT: fit takes ranges of batches
// EXPECT: See docs/errors/range\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void validation_step(double, auto&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3), 3);
}
