// SPDX-License-Identifier: MIT
// Data, hooks and the progress bar, as docs/reference/data, docs/reference/hooks and docs/reference/callbacks show them.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>
#include <range/v3/view/transform.hpp>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <stdexcept>
#include <vector>

namespace fg = fulgurite;
namespace rv = ranges::views;

namespace {

struct Net : torch::nn::Module {
  torch::nn::Linear layer = register_module("layer", torch::nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    const auto loss = torch::mse_loss(layer->forward(batch.data), batch.target);
    step.log("loss", loss, fg::prog_bar);
    return loss;
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05}); }
};

// [collate]
struct Pose {
  torch::Tensor image;  // [channels, height, width]
  float angle;
};
struct PoseBatch {
  torch::Tensor images;  // [n, channels, height, width]
  torch::Tensor angles;  // [n]
};
PoseBatch collate(std::span<const Pose> poses) {
  return {fg::data::collate(poses, &Pose::image), fg::data::collate(poses, &Pose::angle)};
}
// [/collate]

void require(bool holds) {
  if (!holds) throw std::logic_error("an example is wrong");
}

void tensor_batches(const torch::Tensor& inputs, const torch::Tensor& targets) {
  Net model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  // [tensor-batches]
  fg::data::TensorBatches train{inputs, targets,
                                {.batch_size = 64, .order = fg::data::Shuffled{.seed = 7}}};
  trainer.fit(train);  // epoch by epoch another order, in every run the same ones
  // [/tensor-batches]
  require(trainer.progress().batches == 4);
}

void views(const torch::Tensor& inputs, const torch::Tensor& targets) {
  Net model;
  fg::Trainer trainer{model, fg::MaxEpochs{2}};
  // [views]
  const fg::data::TensorDataset dataset{inputs, targets};
  const auto scaled = [](const fg::Example& example) {
    return fg::Example{example.data / 16, example.target};
  };
  trainer.fit(dataset | fg::data::shuffle(7) | rv::transform(scaled) | fg::data::batch(32) |
              fg::data::prefetch(2));
  // [/views]
  require(trainer.progress().batches == 8);
}

void own_examples() {
  // [own-examples]
  std::vector<Pose> poses{{torch::zeros({1, 8, 8}), 0.1f}, {torch::ones({1, 8, 8}), 0.2f}};
  for (const PoseBatch& batch : poses | fg::data::batch(2)) std::cout << batch.images.sizes() << '\n';
  // [/own-examples]
}

void split(const torch::Tensor& inputs, const torch::Tensor& targets) {
  // [split]
  const fg::data::TensorDataset dataset{inputs, targets};
  const auto [train, validation, test] = fg::data::split(dataset, {0.7, 0.15, 0.15}, /*seed=*/0);
  // [/split]
  require(train.size() + validation.size() + test.size() == dataset.size());
}

void read_csv(const std::filesystem::path& path) {
  // [read-csv]
  const torch::Tensor table = fg::data::read_csv(path, {.columns = 5});
  const torch::Tensor inputs = table.narrow(1, 0, 4), targets = table.narrow(1, 4, 1);
  // [/read-csv]
  require(inputs.size(0) == 2 && targets.size(1) == 1);
}

void progress_bar(const torch::Tensor& inputs, const torch::Tensor& targets) {
  Net model;
  const fg::data::TensorBatches train{inputs, targets};
  // [progress-bar]
  fg::Trainer trainer{model, fg::ProgressBar{.out = stdout}, fg::MaxEpochs{2}};
  trainer.fit(train);
  // [/progress-bar]
}

// [callback]
/// Tells how large the largest parameter is when an epoch ends.
struct LargestParameter {
  using slot = fg::slots::Callback;

  void on_train_epoch_end(auto& step) {
    float largest = 0;
    for (const auto& parameter : step.model().parameters()) {
      largest = std::max(largest, parameter.abs().max().template item<float>());
    }
    step.log("largest", largest);
  }
};
// [/callback]

void callback(const torch::Tensor& inputs, const torch::Tensor& targets) {
  Net model;
  const fg::data::TensorBatches train{inputs, targets};
  fg::Trainer trainer{model, LargestParameter{}, fg::MaxEpochs{1}};
  trainer.fit(train);
  require(trainer.metrics().find("largest") != nullptr);
}

}  // namespace

int main() {
  torch::manual_seed(0);
  const auto inputs = torch::randn({128, 4});
  const auto targets = inputs.sum(1, true);
  tensor_batches(inputs, targets);
  views(inputs, targets);
  own_examples();
  split(inputs, targets);
  progress_bar(inputs, targets);
  callback(inputs, targets);

  const auto path = std::filesystem::temp_directory_path() / "fulgurite_example_data.csv";
  std::ofstream(path) << "1,2,3,4,10\n5,6,7,8,26\n";
  read_csv(path);
  std::filesystem::remove(path);
}
