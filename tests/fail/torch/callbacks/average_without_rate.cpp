// SPDX-License-Identifier: MIT
// EXPECT: fg::StochasticWeightAveraging needs a model with one optimizer that has a learning rate
// EXPECT: See docs/errors/stochastic-weight-average\.md
#include <fulgurite/fulgurite.hpp>

#include "support/toy.hpp"

namespace fg = fulgurite;

struct Model : torch::nn::Module {
  toy::Weight weight;

  auto training_step(double batch, auto&) { return toy::Loss{&weight, batch}; }
  auto configure_optimizers() { return toy::BareSgd{&weight}; }
};

int main() {
  Model model;
  fg::Trainer trainer{model, fg::StochasticWeightAveraging{.lr = 0.1}};
  trainer.fit(toy::counting(3));
}
