// SPDX-License-Identifier: MIT
// Problems to optimise, plain references to compare with, and the laws that every optimizer keeps.
#pragma once

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace support {

using Parameters = std::vector<torch::Tensor>;

/// A few parameters with gradients that change from step to step, in double precision. `scale` multiplies the gradients.
struct Problem {
  Parameters parameters;
  double scale;

  explicit Problem(const std::vector<std::vector<std::int64_t>>& shapes = {{3, 4}, {4}, {2, 2, 2}}, double scale_by = 1.0)
      : scale(scale_by) {
    torch::manual_seed(5);
    for (const auto& shape : shapes) parameters.push_back(torch::randn(shape, torch::kDouble).requires_grad_());
  }

  void backward(int step) {
    for (auto& parameter : parameters) {
      parameter.mutable_grad() = scale * (torch::sin(parameter.detach() * (step + 1)) + 0.1 * parameter.detach());
    }
  }
};

/// The largest relative difference after `steps` steps of two optimizers on the same problem.
template <class MakeA, class MakeB>
double difference(MakeA make_a, MakeB make_b, int steps = 50,
                  const std::vector<std::vector<std::int64_t>>& shapes = {{3, 4}, {4}, {2, 2, 2}}, double scale = 1.0) {
  Problem a(shapes, scale), b(shapes, scale);
  auto first = make_a(a.parameters);
  auto second = make_b(b.parameters);
  double worst = 0.0;
  for (int step = 0; step < steps; ++step) {
    a.backward(step);
    b.backward(step);
    first.step();
    second.step();
    for (std::size_t i = 0; i < a.parameters.size(); ++i) {
      const double distance = ((a.parameters[i] - b.parameters[i]).norm() / b.parameters[i].norm()).template item<double>();
      if (!(distance <= worst)) worst = distance;
      if (std::isnan(worst)) return worst;  // std::max(worst, NaN) would be `worst`
    }
  }
  return worst;
}

/// What a reference remembers of one parameter. Tensors start as zeros.
struct Memory {
  std::map<std::string, torch::Tensor> tensors;
  torch::Tensor like;

  torch::Tensor& operator[](const std::string& key) {
    auto& tensor = tensors[key];
    return tensor.defined() ? tensor : tensor = torch::zeros_like(like);
  }
};

/// The plain reference: `formula(parameter, gradient, memory, t)` for one parameter after another; t is 1 at first.
template <class Formula>
struct Reference {
  Parameters parameters;
  Formula formula;
  std::vector<Memory> memories{};
  double t = 0.0;

  void step() {
    const torch::NoGradGuard no_grad;
    memories.resize(parameters.size());
    t += 1.0;
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      memories[i].like = parameters[i].detach();
      formula(parameters[i], parameters[i].grad().clone(), memories[i], t);
    }
  }
};

template <class Formula>
Reference<Formula> reference(Parameters parameters, Formula formula) {
  return {std::move(parameters), std::move(formula)};
}

inline const std::vector<std::vector<std::int64_t>> matrices{{3, 4}, {4, 2}, {3, 3}};

inline bool same(const Parameters& a, const Parameters& b) {
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!a[i].equal(b[i])) return false;
  }
  return true;
}

/// `make(parameters)` is an optimizer. Parameters are matrices, since some take nothing else.
template <class Make>
void keeps_the_laws(Make make) {
  SECTION("a parameter without gradient keeps its value and its state") {
    Problem both(matrices), alone(matrices);
    alone.parameters.pop_back();
    alone.parameters.pop_back();
    auto with_others = make(both.parameters);
    auto by_itself = make(alone.parameters);
    for (int step = 0; step < 7; ++step) {
      both.backward(step);
      if (step % 2 == 1) {
        both.parameters[0].mutable_grad().reset();
      } else {
        alone.backward(step);
        by_itself.step();
      }
      with_others.step();
    }
    CHECK(both.parameters[0].equal(alone.parameters[0]));
  }

  SECTION("saved, loaded and continued equals never stopped") {
    Problem straight(matrices);
    auto optimizer = make(straight.parameters);
    for (int step = 0; step < 5; ++step) {
      straight.backward(step);
      if (step < 2) straight.parameters[1].mutable_grad().reset();
      optimizer.step();
    }
    const auto file = torch::pickle_save(optimizer.state_dict());
    Problem resumed(matrices);
    {
      const torch::NoGradGuard no_grad;
      for (std::size_t i = 0; i < 3; ++i) resumed.parameters[i].copy_(straight.parameters[i]);
    }
    auto loaded = make(resumed.parameters);
    loaded.load_state_dict(torch::pickle_load(file));
    for (int step = 5; step < 10; ++step) {
      straight.backward(step);
      resumed.backward(step);
      optimizer.step();
      loaded.step();
    }
    CHECK(same(straight.parameters, resumed.parameters));
  }

  SECTION("a loss scale changes nothing, and a gradient that is not finite stops the step") {
    Problem plain(matrices), scaled(matrices);
    auto expected = make(plain.parameters);
    auto optimizer = make(scaled.parameters);
    const auto found_inf = torch::zeros({1});
    optimizer.set_loss_scale(torch::full({1}, 8.0f), found_inf);
    for (int step = 0; step < 6; ++step) {
      const bool skipped = step == 0 || step == 3;
      scaled.backward(step);
      for (auto& parameter : scaled.parameters) parameter.mutable_grad().mul_(8.0);
      if (skipped) {
        scaled.parameters[1].mutable_grad().fill_(std::numeric_limits<double>::infinity());
      } else {
        plain.backward(step);
        expected.step();
      }
      optimizer.step();
      CHECK(found_inf.item<float>() == (skipped ? 1.0f : 0.0f));
    }
    CHECK(same(plain.parameters, scaled.parameters));
  }

  SECTION("a sparse gradient is refused before anything is changed") {
    Problem problem(matrices);
    auto optimizer = make(problem.parameters);
    const auto before = problem.parameters[0].detach().clone();
    problem.backward(0);
    problem.parameters[2].mutable_grad() = problem.parameters[2].grad().to_sparse();
    CHECK_THROWS_WITH(optimizer.step(), Catch::Matchers::ContainsSubstring("a sparse gradient for parameter 2"));
    CHECK(problem.parameters[0].equal(before));
  }

  SECTION("the state of another model is refused before anything is changed") {
    Problem problem(matrices), other({{3, 4}, {2, 4}, {3, 3}});
    auto optimizer = make(problem.parameters);
    auto others = make(other.parameters);
    problem.backward(0);
    other.backward(0);
    optimizer.step();
    others.step();
    const auto before = torch::pickle_save(optimizer.state_dict());
    const auto state = torch::pickle_load(torch::pickle_save(others.state_dict()));
    if (!state.toGenericDict().at("state").toGenericDict().empty()) {
      CHECK_THROWS_WITH(optimizer.load_state_dict(state),
                        Catch::Matchers::ContainsSubstring("cannot load this state: parameter 1 needs") &&
                            Catch::Matchers::ContainsSubstring("and the saved one has ["));
    }
    CHECK_THROWS_AS(optimizer.load_state_dict(torch::IValue(1.0)), std::invalid_argument);
    CHECK(torch::pickle_save(optimizer.state_dict()) == before);
  }

  SECTION("number formats may differ within a group") {
    Problem doubles(matrices), mixed(matrices);
    mixed.parameters[1] = mixed.parameters[1].detach().to(torch::kFloat).requires_grad_();
    auto expected = make(doubles.parameters);
    auto optimizer = make(mixed.parameters);
    doubles.backward(0);
    mixed.backward(0);
    expected.step();
    optimizer.step();
    CHECK(mixed.parameters[0].equal(doubles.parameters[0]));
    CHECK(torch::allclose(mixed.parameters[1], doubles.parameters[1].to(torch::kFloat), 1e-3, 1e-4));
  }
}

}  // namespace support
