// SPDX-License-Identifier: MIT
// EXPECT: this range is const, but its set_epoch is not
// EXPECT: See docs/errors/range\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Shuffling : toy::Range {
  using toy::Range::Range;
  void set_epoch(std::int64_t) {}
};

int main() {
  toy::Model model;
  fg::Trainer trainer{model};
  const Shuffling range{1.0, 2.0};
  trainer.fit(range);
}
