// SPDX-License-Identifier: MIT
#include <fulgurite/optim/adafactor.hpp>

#include <torch/torch.h>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "optim/support.hpp"

namespace fg = fulgurite;
using support::Parameters;

namespace {

/// The plain formula for one parameter.
auto formula_of(const fg::AdafactorOptions& o) {
  return [o](torch::Tensor& p, torch::Tensor g, support::Memory& memory, double t) {
    if (o.maximize) g = -g;
    const double eps = o.eps.first.value_or(2.220446049250313e-16);
    const double weight = std::pow(t, o.beta2_decay);
    const double rms = p.square().mean().sqrt().item<double>();
    const double step = std::max(o.eps.second, rms) * std::min(o.lr, 1 / std::sqrt(t));
    p.mul_(1 - o.lr * o.weight_decay);
    auto& squares = memory["squares"];
    torch::Tensor second;
    if (p.dim() > 1) {  // row and column means of running means are running means of row and column means
      squares = (1 - weight) * squares + weight * g * g;
      const auto rows = squares.mean(-1, true);
      second = rows.matmul(squares.mean(-2, true)) / rows.mean(-2, true).clamp_min(eps);
    } else {
      second = squares = (1 - weight) * squares + weight * g * g;
    }
    const auto update = g / second.clamp_min(eps * eps).sqrt();
    p.sub_(step / std::max(1.0, update.square().mean().sqrt().item<double>() / o.d) * update);
  };
}

double difference(const fg::AdafactorOptions& o, int steps, const std::vector<std::vector<std::int64_t>>& shapes,
                  double scale) {
  return support::difference([&](Parameters& p) { return fg::Adafactor(p, o); },
                             [&](Parameters& p) { return support::reference(p, formula_of(o)); }, steps, shapes, scale);
}

const std::vector<std::vector<std::int64_t>> shapes{{3, 4}, {4}, {2, 2, 2}};

}  // namespace

TEST_CASE("Adafactor has the numbers of its formula") {
  const auto o = GENERATE(
      fg::AdafactorOptions{}, fg::AdafactorOptions{.lr = 0.1, .weight_decay = 1.0},
      fg::AdafactorOptions{
          .lr = 0.3, .beta2_decay = -0.6, .eps = {1e-4, 1e-2}, .d = 1.2, .weight_decay = 0.1, .maximize = true});
  CHECK(difference(o, 50, shapes, 1.0) < 1e-12);
}

TEST_CASE("Adafactor has the numbers of its formula where its eps matters") {
  const fg::AdafactorOptions o{.lr = 1e-4, .d = 1e9};  // as good as no limit to an update
  CHECK(difference(o, 5, shapes, 1e-10) < 1e-12);  // squares below eps, above its square
  CHECK(difference(o, 5, shapes, 1e-17) < 1e-12);  // below both
}

TEST_CASE("Adafactor takes gradients with whose squares doubles nearly underflow") {
  CHECK(difference({.lr = 0.1, .eps = {0.0, 1e-3}}, 5, {{4}}, 1e-155) < 1e-9);
}

TEST_CASE("Adafactor's eps is that of the number format, unless it is given one") {
  const auto [dtype, epsilon] = GENERATE(std::pair{torch::kDouble, 0x1p-52}, std::pair{torch::kFloat, 0x1p-23},
                                         std::pair{torch::kBFloat16, 0x1p-7}, std::pair{torch::kHalf, 0x1p-10});
  auto p = torch::ones({1}, dtype).requires_grad_();
  fg::Adafactor by_default({p}, {.lr = 1.0});
  p.mutable_grad() = torch::full({1}, epsilon / 4, dtype);
  by_default.step();
  CHECK(p.item<double>() == 0.75);  // 1 - gradient / eps

  auto q = torch::ones({1}, dtype).requires_grad_();
  fg::Adafactor given({q}, {.lr = 1.0, .eps = {0.25, 1e-3}});
  q.mutable_grad() = torch::full({1}, 0.125, dtype);
  given.step();
  CHECK(q.item<double>() == 0.5);
}

TEST_CASE("Adafactor keeps the laws of optimizers") {
  support::keeps_the_laws([](Parameters p) {
    return fg::Adafactor(
        std::move(p),
        {.lr = 0.3, .beta2_decay = -0.6, .eps = {1e-4, 1e-2}, .d = 1.2, .weight_decay = 0.1, .maximize = true});
  });
}

TEST_CASE("Adafactor refuses invalid options") {
  const auto p = torch::ones({2, 2}).requires_grad_();
  CHECK_THROWS_WITH(fg::Adafactor({p}, {.lr = -0.1}), "fulgurite: Adafactor needs a learning rate of 0 or more");
  CHECK_THROWS_WITH(fg::Adafactor({p}, {.d = 0.5}), "fulgurite: Adafactor needs a d of 1 or more");
  CHECK_THROWS_WITH(fg::Adafactor({p}, {.beta2_decay = 0.1}), "fulgurite: Adafactor needs a beta2_decay of 0 or less");
  CHECK_THROWS_WITH(fg::Adafactor({p}, {.eps = {-1.0, 1e-3}}), "fulgurite: Adafactor needs eps of 0 or more");
}

TEST_CASE("Adafactor keeps a row and a column of a matrix, and all of a vector") {
  support::Problem problem;
  fg::Adafactor adafactor(problem.parameters, {});
  problem.backward(0);
  adafactor.step();
  const auto state = adafactor.state_dict().toGenericDict().at("state").toGenericDict();
  CHECK(state.at(0).toGenericDict().at("row_var").toTensor().sizes() == torch::IntArrayRef{3, 1});
  CHECK(state.at(0).toGenericDict().at("col_var").toTensor().sizes() == torch::IntArrayRef{1, 4});
  CHECK(state.at(1).toGenericDict().at("variance").toTensor().sizes() == torch::IntArrayRef{4});
}
