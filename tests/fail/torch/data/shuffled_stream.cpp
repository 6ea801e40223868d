// SPDX-License-Identifier: MIT
// EXPECT: fg::data::shuffle needs a range with random access and a known size
// EXPECT: See docs/errors/shuffle\.md
#include <fulgurite/data/shuffle.hpp>

#include <list>

int main() {
  std::list<double> stream{1.0, 2.0};
  [[maybe_unused]] auto shuffled = stream | fulgurite::data::shuffle(7);
}
