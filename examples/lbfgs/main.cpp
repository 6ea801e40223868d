// SPDX-License-Identifier: MIT
// A small regression that is badly scaled: LBFGS reaches in 20 steps what Adam does not in 500.
#include <torch/torch.h>

#include <fulgurite/fulgurite.hpp>

#include <cstdint>
#include <iostream>
#include <vector>

namespace fg = fulgurite;
namespace nn = torch::nn;

// [model]
/// A polynomial of degree 5. Its powers differ in size and look alike, so a step that suits one coefficient
/// doesn't suit the next: LBFGS learns that from the gradients that it has seen.
struct Polynomial : nn::Module {
  torch::Tensor coefficients = register_parameter("coefficients", torch::zeros({6}));
  std::int64_t evaluations = 0;

  torch::Tensor training_step(const fg::Example& batch, auto& step) {
    ++evaluations;
    auto powers = torch::pow(batch.data.unsqueeze(1), torch::arange(6));
    auto loss = nn::functional::mse_loss(powers.matmul(coefficients), batch.target);
    step.log("loss", loss);
    return loss;
  }
};

struct ByLbfgs : Polynomial {
  auto configure_optimizers() {
    return fg::LBFGS(parameters(), {.line_search_fn = fg::LineSearch::strong_wolfe});
  }
};

struct ByAdam : Polynomial {
  double lr = 0.1;
  auto configure_optimizers() { return fg::Adam(parameters(), {.lr = lr}); }
};
// [/model]

template <class Model>
double train(Model& model, std::int64_t steps, const char* name) {
  const auto x = torch::linspace(-1, 3, 100);
  const std::vector<fg::Example> batches{{x, torch::sin(2 * x)}};  // one batch: all points
  fg::Trainer trainer{model, fg::Float64{}, fg::MaxSteps{steps}};
  trainer.fit(batches);
  const double loss = trainer.metric("loss").value();
  std::cout << name << ": loss " << loss << " after " << steps << " steps, " << model.evaluations
            << " evaluations\n";
  return loss;
}

int main() {
  ByLbfgs lbfgs;
  const double reached = train(lbfgs, 20, "LBFGS");
  bool faster = true;
  for (const double lr : {1e-3, 1e-2, 1e-1}) {  // whatever its rate
    ByAdam adam;
    adam.lr = lr;
    faster = faster && reached < train(adam, 500, "Adam");
  }
  std::cout << (faster ? "LBFGS reached in 20 steps what Adam did not in 500\n"
                       : "Adam was as good as LBFGS\n");
  return faster ? 0 : 1;
}
