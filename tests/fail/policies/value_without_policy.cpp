// SPDX-License-Identifier: MIT
// EXPECT: a value for a policy that is not among its template arguments
// EXPECT: See docs/errors/value-without-policy\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

int main() {
  toy::Model model;
  fg::Trainer<toy::Model, fg::Accumulate<2>> trainer{model, fg::ClipNorm{}};
}
