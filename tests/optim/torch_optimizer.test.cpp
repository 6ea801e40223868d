// SPDX-License-Identifier: MIT
#include <fulgurite/optim/torch_optimizer.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {
template <class Make>
struct Fit : nn::Module {
  explicit Fit(Make make_optimizer) : make(make_optimizer) {
    torch::NoGradGuard no_grad;
    line->weight.fill_(0.0);
    line->bias.fill_(0.0);
  }
  Make make;
  nn::Linear line = register_module("line", nn::Linear(1, 1));

  torch::Tensor training_step(const fg::Example& batch, auto&) {
    return nn::functional::mse_loss(line->forward(batch.data), batch.target);
  }
  auto configure_optimizers() { return make(parameters()); }
};

fg::Example batch() {
  auto x = torch::linspace(-1, 1, 16).unsqueeze(1);
  return {x, 2 * x + 1};
}

template <class Make, class... Policies>
double loss_after(int epochs, Make make, Policies... policies) {
  Fit<Make> model(make);
  fg::Trainer trainer{model, fg::MaxEpochs{epochs}, policies...};
  std::vector<fg::Example> data{batch()};
  trainer.fit(data);
  return nn::functional::mse_loss(model.line->forward(batch().data), batch().target).template item<double>();
}
}  // namespace

TEST_CASE("any of LibTorch's optimizers trains, bare or configured") {
  CHECK(loss_after(300, [](auto p) { return torch::optim::RMSprop(p, 1e-2); }) < 1e-3);
  CHECK(loss_after(300, [](auto p) { return torch::optim::Adam(p, torch::optim::AdamOptions(5e-2)); }, fg::ClipNorm{}) < 1e-3);
  CHECK(loss_after(300, [](auto p) {
          return fg::optimizer(torch::optim::SGD(p, torch::optim::SGDOptions(0.1).momentum(0.9)))
              .with(fg::StepDecay{.step_size = 100}, fg::EveryStep{});
        }) < 1e-3);
}

TEST_CASE("LBFGS runs the closure as often as it likes") {
  CHECK(loss_after(5, [](auto p) { return torch::optim::LBFGS(p, torch::optim::LBFGSOptions(1.0)); }) < 1e-8);
}

TEST_CASE("rates and momenta of LibTorch's optimizers can be driven") {
  auto p = torch::ones({1}).requires_grad_();
  const std::vector<torch::Tensor> parameters{p};
  fg::TorchOptimizer adam(torch::optim::Adam(parameters, torch::optim::AdamOptions(0.1)));
  adam.set_lr(0, 0.3);
  adam.set_momentum(0, 0.7);
  CHECK(adam.lr(0) == 0.3);
  CHECK(adam.momentum(0) == 0.7);
  fg::TorchOptimizer sgd(torch::optim::SGD(parameters, torch::optim::SGDOptions(0.1).momentum(0.9)));
  sgd.set_momentum(0, 0.5);
  CHECK(sgd.momentum(0) == 0.5);
  CHECK_FALSE(fg::HasMomentum<fg::TorchOptimizer<torch::optim::Adagrad>>);
}
