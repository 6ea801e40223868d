// SPDX-License-Identifier: MIT
// The README's programs: a model, a trainer, and a loop that the program owns.
#include <torch/torch.h>

#include <iostream>

// [model]
#include <fulgurite/fulgurite.hpp>
namespace fg = fulgurite;
namespace nn = torch::nn;

struct Classifier : nn::Module {
  nn::Sequential net = register_module("net", nn::Sequential{nn::Linear(64, 128), nn::ReLU(), nn::Linear(128, 10)});

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = nn::functional::cross_entropy(net->forward(batch.data), batch.target);
    step.log("train_loss", loss, fg::prog_bar);
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("val_loss", nn::functional::cross_entropy(net->forward(batch.data), batch.target));
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 3e-3}))
        .lr_scheduler(fg::OneCycleLR{.max_lr = 3e-3, .total_steps = 80}, fg::EveryStep{});
  }
};
// [/model]

int main() {
  torch::manual_seed(0);
  const auto targets = torch::randint(10, {512}, torch::kLong);
  const auto inputs = torch::randn({512, 64}) + 3 * nn::functional::one_hot(targets, 64);  // ten clouds of points
  {
    // [fit]
    fg::data::TensorBatches train{inputs, targets, {.batch_size = 32, .order = fg::data::Shuffled{.seed = 7}}};
    Classifier model;
    fg::Trainer trainer{model, fg::Accumulate<4>{}, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{20}};
    trainer.fit(train, train);
    // [/fit]
    std::cout << "validation loss: " << *trainer.metric("val_loss") << " (untrained: 2.3)\n";
    if (!(trainer.metric("val_loss") < 0.5)) return 1;
  }
  {
    fg::data::TensorBatches stream{inputs, targets};
    Classifier model;
    fg::Trainer trainer{model, fg::ClipNorm{.max = 0.5}};
    // [loop]
    auto loop = trainer.loop();  // the library is called, it does not call
    for (const auto& batch : stream) {
      auto result = loop.step(batch);
      if (result.global_step == 10'000) break;
    }
    loop.end_epoch();  // closes an open accumulation window, steps epoch schedules
    // [/loop]
    if (trainer.progress().global_step != 16) return 1;
  }
}
