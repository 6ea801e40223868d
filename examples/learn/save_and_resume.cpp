// SPDX-License-Identifier: MIT
// A training that is interrupted, and goes on in another trainer as if it had not been.
#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <filesystem>
#include <iostream>

namespace fg = fulgurite;

namespace {

const auto file = std::filesystem::temp_directory_path() / "fulgurite_example.ckpt";

// [hook]
struct Net : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = torch::mse_loss(torch::dropout(layer->forward(batch.data), 0.1, is_training()), batch.target);
    step.log("train_loss", loss);
    return loss;
  }
  void on_train_batch_end(const auto&, const auto&, auto& step) {
    if (step.progress().batches % 10 == 0) fg::save_checkpoint(step, file);
  }
  // [/hook]
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = 1e-2})).lr_scheduler(fg::CosineAnnealingLR{.t_max = 50}, fg::EveryStep{});
  }
};

// [state]
struct Counter {
  using slot = fg::slots::Callback;
  std::int64_t examples = 0;

  void on_train_batch_end(const auto&, const auto& batch, auto&) { examples += batch.data.size(0); }
  void on_save_checkpoint(auto& checkpoint) { checkpoint("examples", examples); }
  void on_load_checkpoint(auto& checkpoint) { checkpoint("examples", examples); }
};
// [/state]

}  // namespace

int main() {
  torch::manual_seed(1);
  const auto x = torch::randn({100, 4});
  const auto y = x.sum(1, true);
  const fg::data::TensorBatches train{x, y, {.batch_size = 16, .order = fg::data::Shuffled{7}}};  // 7 batches an epoch

  Net first;
  fg::Trainer whole{first, fg::Accumulate<4>{}, Counter{}, fg::MaxEpochs{2}};
  whole.fit(train);

  Net second;
  // [resume]
  fg::Trainer trainer{second, fg::Accumulate<4>{}, Counter{}, fg::MaxEpochs{2}};  // as the one that saved
  fg::load_checkpoint(trainer, file);
  std::cout << "epoch " << trainer.progress().epoch << ", batch " << trainer.progress().batch << '\n';
  trainer.fit(train);  // the rest of that epoch, then the others
  // [/resume]

  // [own-loop]
  fg::save_checkpoint(trainer, file);  // between two batches of a loop of your own, or after a fit
  fg::load_weights(second, file);      // only the weights, for inference
  // [/own-loop]

  Net third;
  const auto folder = std::filesystem::temp_directory_path() / "fulgurite_example_checkpoints";
  // [keep-best]
  fg::Trainer keeps{third, fg::ModelCheckpoint<"train_loss">{.folder = folder, .save_top_k = 2, .save_last = true}, fg::MaxEpochs{4}};
  keeps.fit(train);
  const auto* best = keeps.callback<fg::ModelCheckpoint<"train_loss">>().best();
  std::cout << best->path << ": " << *best->score << '\n';
  // [/keep-best]
  std::filesystem::remove_all(folder);

  const bool same = first.layer->weight.equal(second.layer->weight) &&
                    whole.callback<Counter>().examples == trainer.callback<Counter>().examples;
  std::cout << (same ? "the run that never stopped\n" : "another run\n");
  std::filesystem::remove(file);
  return same ? 0 : 1;
}
