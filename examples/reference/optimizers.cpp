// SPDX-License-Identifier: MIT
// Every optimizer on a small regression: what docs/reference/optim quotes.
#include <fulgurite/optim.hpp>

#include <torch/torch.h>

#include <iostream>
#include <string>

namespace fg = fulgurite;
namespace nn = torch::nn;

namespace {

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 3));
  torch::Tensor inputs = torch::randn({64, 4});
  torch::Tensor targets = inputs.matmul(torch::ones({4, 3})) + 1;

  torch::Tensor loss() { return nn::functional::mse_loss(line->forward(inputs), targets); }
};

bool all_fell = true;

/// Whether a few steps lower the loss.
template <class... Optimizers>
void train(Regression& model, const std::string& name, Optimizers&... optimizers) {
  const double before = model.loss().item<double>();
  for (int step = 0; step < 20; ++step) {
    model.zero_grad();
    model.loss().backward();
    (optimizers.step(), ...);
  }
  const double after = model.loss().item<double>();
  std::cout << name << ": " << before << " to " << after << '\n';
  all_fell = all_fell && after < before;
}

}  // namespace

int main() {
  torch::manual_seed(0);
  {
    Regression model;
    // [sgd]
    fg::SGD sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9, .nesterov = true});
    // [/sgd]
    train(model, "SGD", sgd);
  }
  {
    Regression model;
    // [adam]
    fg::Adam adam(model.parameters(), {.lr = 1e-3, .weight_decay = 1e-4});
    // [/adam]
    train(model, "Adam", adam);
  }
  {
    Regression model;
    // [adamw]
    fg::AdamW adamw(model.parameters(), {.lr = 3e-3, .betas = {0.9, 0.95}});
    // [/adamw]
    train(model, "AdamW", adamw);
  }
  {
    Regression model;
    // [nadam]
    fg::NAdam nadam(model.parameters(), {.lr = 2e-3, .decoupled_weight_decay = true});
    // [/nadam]
    train(model, "NAdam", nadam);
  }
  {
    Regression model;
    // [radam]
    fg::RAdam radam(model.parameters(), {.lr = 1e-3});
    // [/radam]
    train(model, "RAdam", radam);
  }
  {
    Regression model;
    // [adamax]
    fg::Adamax adamax(model.parameters(), {.lr = 2e-3});
    // [/adamax]
    train(model, "Adamax", adamax);
  }
  {
    Regression model;
    // [adagrad]
    fg::Adagrad adagrad(model.parameters(), {.lr = 1e-2});
    // [/adagrad]
    train(model, "Adagrad", adagrad);
  }
  {
    Regression model;
    // [adadelta]
    fg::Adadelta adadelta(model.parameters(), {.rho = 0.95});
    // [/adadelta]
    train(model, "Adadelta", adadelta);
  }
  {
    Regression model;
    // [rmsprop]
    fg::RMSprop rmsprop(model.parameters(), {.lr = 1e-3, .momentum = 0.9});
    // [/rmsprop]
    train(model, "RMSprop", rmsprop);
  }
  {
    Regression model;
    // [rprop]
    fg::Rprop rprop(model.parameters(), {.lr = 1e-2});
    // [/rprop]
    train(model, "Rprop", rprop);
  }
  {
    Regression model;
    // [asgd]
    fg::ASGD asgd(model.parameters(), {.lr = 1e-2, .t0 = 100});
    // [/asgd]
    train(model, "ASGD", asgd);
  }
  {
    Regression model;
    const double before = model.loss().item<double>();
    // [lbfgs]
    fg::LBFGS lbfgs(model.parameters(), {.line_search_fn = fg::LineSearch::strong_wolfe});
    lbfgs.step([&] {  // in a trainer, this closure is the trainer's own
      lbfgs.zero_grad();
      auto loss = model.loss();
      loss.backward();
      return loss;
    });
    // [/lbfgs]
    all_fell = all_fell && model.loss().item<double>() < before;
  }
  {
    Regression model;
    // [adafactor]
    fg::Adafactor adafactor(model.parameters(), {.lr = 1e-2});
    // [/adafactor]
    train(model, "Adafactor", adafactor);
  }
  {
    Regression model;
    // [muon]
    fg::Muon muon({model.line->weight}, {.lr = 1e-3});
    fg::AdamW rest({model.line->bias}, {});
    // [/muon]
    train(model, "Muon and AdamW", muon, rest);
  }
  {
    Regression model;
    // [lion]
    fg::Lion lion(model.parameters(), {.lr = 1e-4, .weight_decay = 0.1});
    // [/lion]
    train(model, "Lion", lion);
  }
  {
    Regression model;
    fg::AdamW adamw(model.parameters(), {.lr = 0.01});
    fg::AdamW other(model.parameters(), {});
    train(model, "AdamW", adamw);
    // [state]
    const auto bytes = torch::pickle_save(adamw.state_dict());
    other.load_state_dict(torch::pickle_load(bytes));
    // [/state]
    all_fell = all_fell && other.lr(0) == 0.01;
    // [storage]
    fg::AdamW flat(model.parameters(), {.lr = 3e-3}, fg::Contiguous{});
    // [/storage]
    train(model, "AdamW, contiguous", flat);
    // [loss-scale]
    auto scale = torch::full({1}, 1024.0f);
    auto found_inf = torch::zeros({1});
    adamw.set_loss_scale(scale, found_inf);  // read and written where they lie, when a step is made
    // [/loss-scale]
    (model.loss() * scale).backward();
    adamw.step();
    adamw.zero_grad();
    // [scaler]
    fg::LossScale scaler({.initial_scale = 1024.0});
    scaler.attach(adamw);  // once
    scaler.scaled(model.loss()).backward();
    adamw.gradients().unscale();  // only if something looks at gradients before the step
    adamw.step();                 // not made if a gradient is not finite
    scaler.update();
    // [/scaler]
    all_fell = all_fell && scaler.growth_tracker() == 1;
  }
  return all_fell ? 0 : 1;
}
