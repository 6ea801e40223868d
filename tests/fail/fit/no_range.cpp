// SPDX-License-Identifier: MIT
// EXPECT: fit takes ranges of batches
// EXPECT: See docs/errors/range\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer trainer{model};
  trainer.fit(3);
}
