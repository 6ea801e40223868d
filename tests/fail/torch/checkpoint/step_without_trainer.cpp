// SPDX-License-Identifier: MIT
// EXPECT: take a trainer, and fg::save_checkpoint also the `auto& step` of a hook
// EXPECT: See docs/errors/checkpoint-host\.md
#include <fulgurite/fulgurite.hpp>
#include <torch/nn/modules/linear.h>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  void on_train_epoch_end(fg::Step<Model>& step) { fg::save_checkpoint(step, "run.ckpt"); }
};
