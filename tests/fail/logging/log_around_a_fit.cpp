// SPDX-License-Identifier: MIT
// There is no epoch that could have a metric.
// EXPECT: no member named 'log'
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void on_train_end(auto& run) { run.log("weight", weight.value); }
};

int main() {
  Model model;
  fg::Trainer trainer{model};
  trainer.fit(toy::counting(3));
}
