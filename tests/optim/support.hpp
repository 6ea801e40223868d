// SPDX-License-Identifier: MIT
// A few parameters with gradients that change from step to step, in double precision.
#pragma once

#include <torch/torch.h>

#include <vector>

namespace support {

struct Problem {
  std::vector<torch::Tensor> parameters;

  Problem() {
    torch::manual_seed(5);
    for (const auto& shape : {std::vector<std::int64_t>{3, 4}, {4}, {2, 2, 2}}) {
      parameters.push_back(torch::randn(shape, torch::kDouble).requires_grad_());
    }
  }

  void backward(int step) {
    for (auto& parameter : parameters) {
      parameter.mutable_grad() = torch::sin(parameter.detach() * (step + 1)) + 0.1 * parameter.detach();
    }
  }
};

/// The largest relative difference after `steps` steps of two optimizers on the same problem.
template <class MakeA, class MakeB>
double difference(MakeA make_a, MakeB make_b, int steps = 50) {
  Problem a, b;
  auto first = make_a(a.parameters);
  auto second = make_b(b.parameters);
  double worst = 0.0;
  for (int step = 0; step < steps; ++step) {
    a.backward(step);
    b.backward(step);
    first.step();
    second.step();
    for (std::size_t i = 0; i < a.parameters.size(); ++i) {
      const auto distance = (a.parameters[i] - b.parameters[i]).norm() / b.parameters[i].norm();
      worst = std::max(worst, distance.template item<double>());
    }
  }
  return worst;
}

}  // namespace support
