// SPDX-License-Identifier: MIT
// Closures: an optimizer that evaluates the loss several times a step, automatically and by hand.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Sequential net = register_module("net", nn::Sequential{nn::Linear(4, 8), nn::Tanh(), nn::Linear(8, 1)});
  int evaluations = 0;

  torch::Tensor compute_loss(const fg::Example& batch) {
    ++evaluations;
    return nn::functional::mse_loss(net->forward(batch.data), batch.target);
  }
};

// [automatic]
struct Automatic : Regression {
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
  auto configure_optimizers() { return fg::LBFGS(parameters(), {.lr = 0.5, .max_iter = 5}); }
};
// [/automatic]

// [manual]
struct Manual : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    auto closure = [&] {
      auto loss = compute_loss(batch);
      optimizer.zero_grad();
      step.manual_backward(loss);
      return loss;
    };
    optimizer.step(closure);
  }
  auto configure_optimizers() { return fg::LBFGS(parameters(), {.lr = 0.5, .max_iter = 5}); }
};
// [/manual]

// [any-optimizer]
struct WithAdam : Manual {  // the same training_step: a closure suits every optimizer
  auto configure_optimizers() { return fg::Adam(parameters(), {.lr = 1e-2}); }
};
// [/any-optimizer]

template <class Model, class... Policies>
Model trained(const Policies&... policies) {
  torch::manual_seed(0);
  Model model;
  fg::Trainer trainer{model, policies..., fg::MaxEpochs{2}};
  trainer.fit(problem::plane());
  problem::check(trainer.progress().global_step == 16,
                 "a step counts once, however often the loss was evaluated");
  return model;
}

int main() {
  const auto automatic = trained<Automatic>();
  const auto manual = trained<Manual>(fg::ManualOptimization{});
  problem::check(automatic.evaluations > 16 && automatic.evaluations == manual.evaluations,
                 "LBFGS evaluates the loss several times a step");
  problem::check(problem::same(automatic, manual),
                 "automatically and by hand: the same parameters, bit for bit");
  problem::check(trained<WithAdam>(fg::ManualOptimization{}).evaluations == 16, "Adam evaluates it once");
  return problem::outcome();
}
