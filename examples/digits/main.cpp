// SPDX-License-Identifier: MIT
// The demo: learns to read handwritten digits, and shows what it learned.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <exception>
#include <iostream>

#include "digits.hpp"
#include "options.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

// [classifier]
struct Classifier : nn::Module {
  Classifier(const Options& given, std::int64_t total_steps) : options(given), steps(total_steps) {}

  Options options;
  std::int64_t steps;
  nn::Sequential net = register_module("net", nn::Sequential{nn::Linear(64, 128), nn::ReLU(), nn::Dropout(0.2),
                                                             nn::Linear(128, 10)});

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    auto loss = nn::functional::cross_entropy(net->forward(batch.data), batch.target);
    step.log("loss", loss, fg::prog_bar | fg::on_epoch);
    return loss;
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("accuracy", accuracy(batch), fg::prog_bar);
  }
  auto configure_optimizers() {
    return fg::optimizer(fg::AdamW(parameters(), {.lr = options.lr}))
        .lr_scheduler(fg::OneCycleLR{.max_lr = options.lr, .total_steps = steps}, fg::EveryStep{});
  }

  torch::Tensor predict(const torch::Tensor& images) { return net->forward(images).argmax(1); }
  torch::Tensor accuracy(const fg::Example& batch) {
    return (predict(batch.data) == batch.target).to(torch::kFloat).mean();
  }
};
// [/classifier]

template <class Precision, class Device>
void train(const Options& options) {
  torch::manual_seed(static_cast<std::uint64_t>(options.seed));
  const auto data = digits::load(options.data);
  fg::data::TensorBatches train(data.train, {.batch_size = options.batch_size,
                                             .order = fg::data::Shuffled{.seed = static_cast<std::uint64_t>(options.seed)}});
  fg::data::TensorBatches validation(data.validation, {.batch_size = 100});
  fg::data::TensorBatches test(data.test, {.batch_size = 100});

  const auto batches = static_cast<std::int64_t>(train.size());
  Classifier model(options, (batches + 1) / 2 * options.epochs);
  fg::Trainer<Classifier, fg::Accumulate<2>, fg::ClipNorm, Precision, Device, fg::ProgressBar> trainer{
      model, fg::ClipNorm{.max = 1.0}, fg::MaxEpochs{options.epochs}};
  std::cout << trainer << '\n';
  trainer.fit(train, validation);
  trainer.validate(test, "test_");

  torch::NoGradGuard no_grad;
  model.eval();
  model.to(torch::kCPU, torch::kFloat);
  const auto predictions = model.predict(data.test.inputs());
  digits::print_confusion(predictions, data.test.targets());
  digits::draw(data.test.inputs().slice(0, 0, 8), predictions, data.test.targets());
  std::cout << "test accuracy: " << *trainer.metric("test_accuracy") << std::endl;  // seen even if the disk is full
  fg::save_weights(model, options.weights);
  std::cout << "weights saved to " << options.weights << '\n';
}

int main(int argc, char** argv) {
  const Options options = Options::parse(argc, argv);
  // Precision and device are types: each combination is a trainer of its own.
  const auto on = [&]<class Device>(Device) {
    if (options.precision == "float64") return train<fg::Float64, Device>(options);
    if (options.precision == "bfloat16-mixed") return train<fg::Bfloat16Mixed, Device>(options);
    if (options.precision == "bfloat16") return train<fg::Bfloat16True, Device>(options);
    train<fg::Float32, Device>(options);
  };
  try {
    options.device == "cuda" ? on(fg::Cuda<0>{}) : on(fg::Cpu{});
  } catch (const std::exception& error) {
    std::cerr << "digits: " << error.what() << '\n';
    return 1;
  }
}
