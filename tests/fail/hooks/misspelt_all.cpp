// SPDX-License-Identifier: MIT
// Each foreseen misspelling is refused.
// EXPECT: which is no hook: did you mean
// ERRORS: 14
#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : toy::Model {
  void train_step() {}
  void trainingStep() {}
  void val_step() {}
  void valid_step() {}
  void configure_optimizer() {}
  void training_epoch_end() {}
  void training_step_end() {}
  void validation_epoch_end() {}
  void on_training_start() {}
  void on_training_end() {}
  void on_epoch_start() {}
  void on_epoch_end() {}
  void on_batch_start() {}
  void on_batch_end() {}
};

int main() {
  Model model;
  fg::Trainer trainer{model};
}
