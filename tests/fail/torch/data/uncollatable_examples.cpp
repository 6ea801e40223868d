// SPDX-License-Identifier: MIT
// EXPECT: fg::data::batch cannot make a batch of these examples
// EXPECT: See docs/errors/collate\.md
#include <fulgurite/data/batch.hpp>

#include <string>
#include <vector>

int main() {
  std::vector<std::string> examples{"a", "b"};
  [[maybe_unused]] auto batches = examples | fulgurite::data::batch(2);
}
