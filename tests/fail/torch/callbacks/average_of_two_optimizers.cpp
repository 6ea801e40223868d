// SPDX-License-Identifier: MIT
// EXPECT: fg::StochasticWeightAveraging needs a model with one optimizer that has a learning rate
// EXPECT: See docs/errors/stochastic-weight-average\.md
#include <fulgurite/fulgurite.hpp>

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  torch::Tensor a = register_parameter("a", torch::zeros({1})), b = register_parameter("b", torch::zeros({1}));

  torch::Tensor training_step(const fg::Example& batch, auto&, auto) { return (a * b * batch.data).sum(); }
  auto configure_optimizers() { return fg::optimizers(fg::SGD({a}, {.lr = 0.1}), fg::SGD({b}, {.lr = 0.1})); }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.1}};
  trainer.fit(std::vector<fg::Example>{});
}
