// SPDX-License-Identifier: MIT
// EXPECT: the model has log_metrics or log_hyperparameters
// EXPECT: See docs/errors/callback-without-hook\.md
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void log_hyperparameters(const fg::Hyperparameters&) {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
}
