// SPDX-License-Identifier: MIT
// Law: an update by a fused kernel is the update that the formulas say, operator by operator and parameter by
// parameter.
#include <torch/torch.h>

#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fulgurite/optim/adagrad.hpp>
#include <fulgurite/optim/adam.hpp>
#include <fulgurite/optim/adamw.hpp>
#include <fulgurite/optim/sgd.hpp>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace fg = fulgurite;

namespace {

/// What a parameter carries from update to update.
struct State {
  std::int64_t steps = 0;
  torch::Tensor first, second, largest;
};

void start(torch::Tensor& state, const torch::Tensor& like, double value = 0.0) {
  if (!state.defined()) state = torch::full_like(like, value, torch::TensorOptions().requires_grad(false));
}

struct SGDLaw {
  using Optimizer = fg::SGD;
  static std::vector<fg::SGDOptions> options() {
    return {{.lr = 0.1},
            {.lr = 0.1, .momentum = 0.9},
            {.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.1},
            {.lr = 0.1, .momentum = 0.8, .weight_decay = 0.05, .nesterov = true, .maximize = true}};
  }
  static void update(const fg::SGDOptions& o, torch::Tensor& p, torch::Tensor g, State& s) {
    if (o.maximize) g = -g;
    if (o.weight_decay != 0.0) g = g + o.weight_decay * p;
    if (o.momentum != 0.0) {
      s.first = s.first.defined() ? o.momentum * s.first + (1.0 - o.dampening) * g : g.clone();
      g = o.nesterov ? g + o.momentum * s.first : s.first;
    }
    p -= o.lr * g;
  }
};

template <class Options>
void adam_update(const Options& o, bool decoupled, torch::Tensor& p, torch::Tensor g, State& s) {
  if (o.maximize) g = -g;
  if (decoupled) {
    p *= 1.0 - o.lr * o.weight_decay;
  } else {
    g = g + o.weight_decay * p;
  }
  start(s.first, p);
  start(s.second, p);
  start(s.largest, p);
  ++s.steps;
  s.first = o.betas.first * s.first + (1.0 - o.betas.first) * g;
  s.second = o.betas.second * s.second + (1.0 - o.betas.second) * g * g;
  s.largest = torch::maximum(s.largest, s.second);
  const double first_correction = 1.0 - std::pow(o.betas.first, static_cast<double>(s.steps));
  const double second_correction = 1.0 - std::pow(o.betas.second, static_cast<double>(s.steps));
  const auto& squares = o.amsgrad ? s.largest : s.second;
  p -= o.lr / first_correction * s.first / (squares.sqrt() / std::sqrt(second_correction) + o.eps);
}

struct AdamLaw {
  using Optimizer = fg::Adam;
  static std::vector<fg::AdamOptions> options() {
    return {{.lr = 0.05},
            {.lr = 0.05, .betas = {0.7, 0.9}, .eps = 1e-3, .weight_decay = 0.1},
            {.lr = 0.05, .betas = {0.5, 0.6}, .amsgrad = true, .maximize = true}};
  }
  static void update(const fg::AdamOptions& o, torch::Tensor& p, torch::Tensor g, State& s) {
    adam_update(o, false, p, std::move(g), s);
  }
};

struct AdamWLaw {
  using Optimizer = fg::AdamW;
  static std::vector<fg::AdamWOptions> options() {
    return {{.lr = 0.05},
            {.lr = 0.05, .betas = {0.7, 0.9}, .eps = 1e-3, .weight_decay = 0.3},
            {.lr = 0.05, .betas = {0.5, 0.6}, .weight_decay = 0.0, .amsgrad = true, .maximize = true}};
  }
  static void update(const fg::AdamWOptions& o, torch::Tensor& p, torch::Tensor g, State& s) {
    adam_update(o, true, p, std::move(g), s);
  }
};

struct AdagradLaw {
  using Optimizer = fg::Adagrad;
  static std::vector<fg::AdagradOptions> options() {
    return {{.lr = 0.1},
            {.lr = 0.2,
             .lr_decay = 0.1,
             .weight_decay = 0.05,
             .initial_accumulator_value = 0.1,
             .eps = 1e-3,
             .maximize = true}};
  }
  static void update(const fg::AdagradOptions& o, torch::Tensor& p, torch::Tensor g, State& s) {
    if (o.maximize) g = -g;
    if (o.weight_decay != 0.0) g = g + o.weight_decay * p;
    start(s.first, p, o.initial_accumulator_value);
    const double lr = o.lr / (1.0 + static_cast<double>(s.steps++) * o.lr_decay);
    s.first = s.first + g * g;
    p -= lr * g / (s.first.sqrt() + o.eps);
  }
};

// Sizes below, at and beyond a vector register, and one that several threads would share.
std::vector<torch::Tensor> make_parameters(torch::ScalarType type) {
  torch::manual_seed(5);
  std::vector<torch::Tensor> parameters;
  for (const auto& shape : std::vector<std::vector<std::int64_t>>{{}, {1}, {7}, {3, 5}, {64}, {33, 67}}) {
    auto values = torch::randn(shape, torch::kDouble);
    parameters.push_back(values.to(type));
  }
  parameters.push_back(torch::randn({6, 4}, torch::kDouble).to(type).t());  // columns first
  return parameters;
}

}  // namespace

TEMPLATE_TEST_CASE("a fused update is the formulas' update", "", SGDLaw, AdamLaw, AdamWLaw, AdagradLaw) {
  const auto type = GENERATE(torch::kDouble, torch::kFloat);
  const double tolerance = type == torch::kDouble ? 1e-13 : 1e-5;
  for (const auto& options : TestType::options()) {
    auto ours = make_parameters(type);
    auto reference = make_parameters(type);
    for (auto& parameter : ours) parameter.requires_grad_();
    const auto half = static_cast<std::ptrdiff_t>(ours.size() / 2);
    auto other_options = options;
    other_options.lr *= 0.5;
    typename TestType::Optimizer optimizer(
        {{{ours.begin(), ours.begin() + half}, options}, {{ours.begin() + half, ours.end()}, other_options}});
    std::vector<State> states(reference.size());
    torch::manual_seed(8);
    for (int step = 0; step < 12; ++step) {
      for (std::size_t i = 0; i < ours.size(); ++i) {
        const auto gradient = torch::randn(ours[i].sizes(), torch::kDouble).to(type);
        if ((step + static_cast<int>(i)) % 5 == 3) {  // has none: value and state stay
          ours[i].mutable_grad().reset();
          continue;
        }
        ours[i].mutable_grad() = torch::empty_like(ours[i]).copy_(gradient).detach();
        TestType::update(static_cast<std::ptrdiff_t>(i) < half ? options : other_options, reference[i],
                         gradient, states[i]);
      }
      optimizer.step();
    }
    for (std::size_t i = 0; i < ours.size(); ++i) {
      CAPTURE(i, ours[i].sizes());
      CHECK(torch::allclose(ours[i].detach(), reference[i], tolerance, tolerance));
    }
  }
}
