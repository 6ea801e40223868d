// SPDX-License-Identifier: MIT
// Gradient clipping: by a policy, by one for each optimizer, by a hook, and by hand.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cmath>
#include <cstddef>
#include <vector>

#include "problem.hpp"

namespace fg = fulgurite;
namespace nn = torch::nn;

struct Regression : nn::Module {
  nn::Linear line = register_module("line", nn::Linear(4, 1));

  torch::Tensor compute_loss(const fg::Example& batch) {
    return 1e3 * nn::functional::mse_loss(line->forward(batch.data), batch.target);  // large gradients
  }
  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/) { return compute_loss(batch); }
  auto configure_optimizers() { return fg::SGD(parameters(), {.lr = 1.0}); }
};

struct TwoLines : nn::Module {
  nn::Linear a = register_module("a", nn::Linear(4, 1));
  nn::Linear b = register_module("b", nn::Linear(4, 1));

  torch::Tensor training_step(const fg::Example& batch, auto& /*step*/, auto index) {
    return 1e3 * nn::functional::mse_loss((index == 0 ? a : b)->forward(batch.data), batch.target);
  }
  auto configure_optimizers() {
    return fg::optimizers(fg::SGD(a->parameters(), {.lr = 1.0}), fg::SGD(b->parameters(), {.lr = 1.0}));
  }
};

// [only-a]
struct OnlyA : TwoLines {
  void configure_gradient_clipping(auto& optimizer, auto& step) {
    if (optimizer.index() == 0) step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5});
  }
};
// [/only-a]

// [twice-for-b]
struct TwiceForB : TwoLines {
  double clip = 0.5;

  void configure_gradient_clipping(auto& optimizer, auto& step) {
    if (optimizer.index() == 0) {
      step.clip_gradients(optimizer, fg::ClipNorm{.max = clip});
    } else if (optimizer.index() == 1) {
      step.clip_gradients(optimizer, fg::ClipNorm{.max = clip * 2});
    }
  }
};
// [/twice-for-b]

// [per-optimizer]
struct PerOptimizer : TwoLines {
  auto configure_optimizers() {
    return fg::optimizers(
        fg::optimizer(fg::SGD(a->parameters(), {.lr = 1.0})).clip(fg::ClipNorm{.max = 0.5}),
        fg::optimizer(fg::SGD(b->parameters(), {.lr = 1.0})).clip(fg::ClipNorm{.max = 1.0}));
  }
};
// [/per-optimizer]

// [manual]
struct ByHand : Regression {
  void training_step(const fg::Example& batch, auto& step) {
    auto optimizer = step.optimizers();
    optimizer.zero_grad();
    step.manual_backward(compute_loss(batch));
    step.log("grad_norm", step.clip_gradients(optimizer, fg::ClipNorm{.max = 0.5}));  // the norm before
    optimizer.step();
  }
};
// [/manual]

/// How far one batch moves the parameters: with a rate of 1, the norm of the clipped gradient.
template <class Model, class... Policies>
std::vector<double> moved(const Policies&... policies) {
  torch::manual_seed(0);
  Model model;
  std::vector<double> distances;
  std::vector<torch::Tensor> before;
  for (const auto& line : model.children()) {
    before.push_back(nn::utils::parameters_to_vector(line->parameters()).detach().clone());
  }
  fg::Trainer trainer{model, policies..., fg::LimitBatches{.train = fg::Batches{1}}, fg::MaxEpochs{1}};
  trainer.fit(problem::plane());
  for (std::size_t i = 0; i < before.size(); ++i) {
    const auto after = nn::utils::parameters_to_vector(model.children()[i]->parameters());
    distances.push_back((after - before[i]).norm().template item<double>());
  }
  return distances;
}

int main() {
  const auto near = [](double value, double expected) { return std::abs(value - expected) < 1e-3; };

  // [policy]
  Regression model;
  fg::Trainer trainer{model, fg::ClipNorm{.max = 0.5}, fg::MaxEpochs{1}};  // or fg::ClipValue{.max = 0.1}
  // [/policy]
  trainer.fit(problem::plane());

  problem::check(moved<Regression>()[0] > 100, "without clipping one batch leaps");
  problem::check(near(moved<Regression>(fg::ClipNorm{.max = 0.5})[0], 0.5),
                 "clipped by norm it makes a step of 0.5");
  problem::check(near(moved<Regression>(fg::ClipValue{.max = 0.1})[0], 0.1 * std::sqrt(5.0)),
                 "clipped by value each of the five parameters moves by 0.1");
  const auto only_a = moved<OnlyA>();
  problem::check(near(only_a[0], 0.5) && only_a[1] > 100, "a hook clips only the first optimizer");
  const auto twice = moved<TwiceForB>();
  problem::check(near(twice[0], 0.5) && near(twice[1], 1.0), "a hook clips the second at twice the value");
  problem::check(moved<PerOptimizer>() == twice, "a policy for each optimizer does the same");
  problem::check(near(moved<ByHand>(fg::ManualOptimization{})[0], 0.5), "and so does the model by hand");
  return problem::outcome();
}
