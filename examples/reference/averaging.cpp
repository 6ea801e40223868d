// SPDX-License-Identifier: MIT
// Averages of weights, as docs/reference/averaging and docs/reference/callbacks show them.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <iostream>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

struct Net : nn::Module {
  nn::Sequential net =
      register_module("net", nn::Sequential{nn::Linear(8, 16), nn::BatchNorm1d(16), nn::ReLU(), nn::Linear(16, 1)});

  torch::Tensor forward(const torch::Tensor& x) { return net->forward(x); }
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) {
    return torch::mse_loss(forward(batch.data), batch.target);
  }
  void validation_step(const fg::Example& batch, auto& step) {
    step.log("val_loss", torch::mse_loss(forward(batch.data), batch.target));
  }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 0.05, .momentum = 0.9}); }
};

std::vector<fg::Example> make_batches(int count) {
  std::vector<fg::Example> batches;
  for (int i = 0; i < count; ++i) {
    const auto x = torch::randn({16, 8});
    const auto noise = torch::randn({16, 1});
    batches.emplace_back(x, x.sum(1, true).sin() + 0.3 * noise);
  }
  return batches;
}

double loss_of(Net& model, const fg::Example& batch) {
  const torch::NoGradGuard no_grad;
  model.eval();
  const double loss = torch::mse_loss(model.forward(batch.data), batch.target).item<double>();
  model.train();
  return loss;
}

void by_hand(const std::vector<fg::Example>& batches) {
  Net model;
  torch::optim::SGD optimizer(model.parameters(), 0.05);
  // [by-hand]
  fg::AveragedModel average(model, fg::ExponentialMean{.decay = 0.99});
  for (const auto& batch : batches) {
    optimizer.zero_grad();
    torch::mse_loss(model.forward(batch.data), batch.target).backward();
    optimizer.step();
    average.update();
  }
  {
    auto scope = average.swap_in();  // the average is in the model until the scope ends
    fg::update_bn(model, batches);
    std::cout << "average: " << loss_of(model, batches[0]) << '\n';
  }
  std::cout << "weights: " << loss_of(model, batches[0]) << '\n';
  average.copy_to_model();  // for good
  // [/by-hand]
  // [batch-norm]
  fg::update_bn(model, batches);
  fg::update_bn(model, batches, [&](const fg::Example& batch) { model.forward(batch.data); });  // the same
  // [/batch-norm]
  // [save]
  torch::save(average, "average.pt");
  torch::load(average, "average.pt");  // into an average of a model of the same shape
  // [/save]
}

void exponential(const std::vector<fg::Example>& train, const std::vector<fg::Example>& validation) {
  Net model;
  // [exponential]
  fg::Trainer trainer{model, fg::EMAWeightAveraging{.decay = 0.99}, fg::MaxEpochs{5}};
  trainer.fit(train, validation);  // validation sees the average, and now the model holds it
  // [/exponential]
  std::cout << "exponential: " << *trainer.metric("val_loss") << '\n';
}

void stochastic(const std::vector<fg::Example>& train, const std::vector<fg::Example>& validation) {
  Net model;
  // [stochastic]
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.02, .start = fg::EpochNumber{4}, .annealing_epochs = 2},
                      fg::MaxEpochs{8}};
  trainer.fit(train, validation);  // epochs 4 to 8 are averaged, and now the model holds the average
  // [/stochastic]
  trainer.validate(validation);
  std::cout << "stochastic: " << *trainer.metric("val_loss") << '\n';
}

}  // namespace

int main() {
  torch::manual_seed(0);
  const auto train = make_batches(40);
  const auto validation = make_batches(10);
  by_hand(train);
  exponential(train, validation);
  stochastic(train, validation);
}
