// SPDX-License-Identifier: MIT
// Logging, as docs/reference/logging and docs/reference/callbacks/learning_rate_monitor.md show it.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <filesystem>
#include <iostream>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

struct Net : nn::Module {
  nn::Sequential net =
      register_module("net", nn::Sequential{nn::Linear(8, 16), nn::ReLU(), nn::Linear(16, 1)});

  // [log]
  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    const auto error = net->forward(batch.data) - batch.target;
    auto loss = error.square().mean();
    step.log("train_loss", loss,
             fg::on_step | fg::on_epoch | fg::prog_bar);  // train_loss_step and train_loss_epoch
    step.log("examples", batch.data.size(0), fg::epoch_sum);
    step.log("worst", error.abs().max(), fg::epoch_max);
    step.log("late_loss", loss, fg::on_epoch,
             fg::Weight{step.batch_index() + 1});  // instead of the batch size
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    const auto error = net->forward(batch.data) - batch.target;
    step.log_dict({{"val_loss", error.square().mean()}, {"val_error", error.abs().mean()}}, fg::prog_bar);
  }
  // [/log]
  // [norms]
  void on_before_optimizer_step(auto& /*optimizer*/, auto& step) {
    if (step.logging_due())
      step.log_dict(fg::gradient_norms(*this));  // grad_2.0_norm/net.0.weight, grad_2.0_norm_total
  }
  // [/norms]
  auto configure_optimizers() {
    return fg::optimizer(fg::SGD(parameters(), {.lr = 0.05, .momentum = 0.9}))
        .lr_scheduler(fg::ExponentialLR{.gamma = 0.99}, fg::EveryStep{});
  }
};

// [logger]
struct Printer {
  using slot = fg::slots::Callback;

  void log_metrics(const fg::MetricsRow& row) {
    std::cout << "step " << row.step << ", epoch " << row.epoch;
    for (const auto& [name, value] : row.values) std::cout << "  " << name << ' ' << value;
    std::cout << '\n';
  }
};
// [/logger]

std::vector<fg::Example> make_batches(int count) {
  std::vector<fg::Example> batches;
  for (int i = 0; i < count; ++i) {
    const auto x = torch::randn({16, 8});
    batches.emplace_back(x, x.sum(1, true).sin());
  }
  return batches;
}

void files(const std::vector<fg::Example>& train, const std::vector<fg::Example>& validation) {
  Net model;
  // [files]
  fg::Trainer trainer{model, fg::CsvLogger{.path = "logs/run.csv", .existing = fg::ExistingFile::replace},
                      fg::JsonLinesLogger{.path = "logs/run.jsonl", .existing = fg::ExistingFile::replace},
                      fg::LogEvery{10}, fg::MaxEpochs{2}};
  trainer.log_hyperparameters({{"lr", 0.05}, {"hidden", 16}, {"optimizer", "SGD"}});
  trainer.fit(train, validation);
  // [/files]
  // [values]
  const double loss = *trainer.metric("train_loss_epoch");
  for (const auto& [name, value] : trainer.metrics().values()) std::cout << name << ' ' << value << '\n';
  // [/values]
  std::cout << loss << ", " << std::filesystem::file_size("logs/run.csv") << " bytes\n";
}

void rates(const std::vector<fg::Example>& train) {
  Net model;
  // [rates]
  fg::Trainer trainer{model, Printer{}, fg::LearningRateMonitor{.what = fg::Monitored::rate_and_momentum},
                      fg::LogEvery{10}, fg::MaxEpochs{1}};
  trainer.fit(train);
  // [/rates]
}

}  // namespace

int main() {
  torch::manual_seed(0);
  const auto train = make_batches(25);
  const auto validation = make_batches(5);
  files(train, validation);
  rates(train);
}
